"""What every other package uses: JSON reading, secrets, number formats."""
