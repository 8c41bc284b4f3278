from ratelimiter.cli.main import run

run()
