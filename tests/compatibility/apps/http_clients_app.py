"""HTTP clients: ``/requests?number`` sends the number to the server UPSTREAM, and gets it back from there."""

import os
import ssl

import httpx
import requests
import urllib3
from app_support import answer
from requests.adapters import HTTPAdapter

import gworkers

URL = f"{os.environ['UPSTREAM']}/echo?0.1"
#: A file with the certificate of the authority.
CA = os.environ["CA_CERTS"]

SESSION = requests.Session()
SESSION.mount(os.environ["UPSTREAM"], HTTPAdapter(pool_maxsize=100))
MANAGER = urllib3.PoolManager(maxsize=100, ca_certs=CA)
OPTIONS = {"verify": ssl.create_default_context(cafile=CA),
           "limits": httpx.Limits(max_keepalive_connections=50)}
CLIENT = httpx.Client(**OPTIONS)
ASYNC_CLIENT = httpx.AsyncClient(**OPTIONS)

POST = {
    "/requests": lambda body: SESSION.post(URL, data=body, verify=CA).content,
    "/urllib3": lambda body: MANAGER.request("POST", URL, body=body).data,
    "/httpx": lambda body: CLIENT.post(URL, content=body).content,
    "/httpx-async": lambda body: gworkers.run_async(ASYNC_CLIENT.post(URL, content=body)).content,
}


def app(environ, start_response):
    return answer(start_response, POST[environ["PATH_INFO"]](environ["QUERY_STRING"].encode()))
