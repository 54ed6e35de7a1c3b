"""The worker process: assembles the queues, their functions and the loops beside them, starts and stops.

It may import every concept. It holds no step of any task, and never imports the API.
"""
