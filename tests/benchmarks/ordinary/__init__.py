"""The design that one would write first: a row, a task and a request for each message, all through the ORM.

What the product is compared with, done properly of its kind: indexes as Django makes them, counters moved by F(), a
connection to the provider kept open, the number of workers that suits it. Only the reports are made easier than they
are: they come by themselves, without a request for each. Celery is as it comes: it opens a database connection for
each task, which is a good part of what a message costs here.
"""
