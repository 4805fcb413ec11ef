"""The domain: what a prediction is, when it is fresh, how it is computed and stored. Knows no HTTP and no Celery."""
