"""scim2-server's application, in memory, on connections that stay open.

The command `scim2-server` ends every connection after one answer. Usage: peer.py HOST PORT TOKEN
"""

import sys

import uvicorn
from scim2_models import ScimProvider, UnauthorizedException
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

host, port, token = sys.argv[1:]


class Application(ASGIApplication):
    def check_auth(self, request):
        if request.header("Authorization") != f"Bearer {token}":
            raise UnauthorizedException


provider = ScimProvider.from_discovery(
    load_default_schemas().values(),
    load_default_resource_types().values(),
    config=load_default_service_provider_config(),
)
uvicorn.run(
    Application(AsyncInMemoryStorage(), provider),
    host=host,
    port=int(port),
    loop="asyncio",
    http="h11",
    access_log=False,
)
