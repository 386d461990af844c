"""What Sepurux says about the agent: API calls, polling, decisions."""
