"""Amazon ECR's API (JSON 1.1) over the same repositories that the distribution API serves."""
