import logging

#: Takes what an operator should know; never a value or a token. Quiet unless the program configures logging.
logger = logging.getLogger("secretslots")
logger.addHandler(logging.NullHandler())
