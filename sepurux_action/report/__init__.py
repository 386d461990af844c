"""What people and tools read: comment, summary, outputs."""
