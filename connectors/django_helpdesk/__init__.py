"""django-helpdesk: its REST API, and the fixtures of its host project (``dumpdata`` and ``loaddata``)."""
