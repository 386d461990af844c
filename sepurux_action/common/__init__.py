"""What every other package uses: JSON reading, secrets, URLs, number formats."""
