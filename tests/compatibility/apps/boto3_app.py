"""boto3 with the S3 service at S3_URL. The query string is the name of an object."""

import io
import os
from hashlib import sha256

import boto3
from app_support import answer, route_by_name
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

MEGABYTES = 1024 * 1024
IN_PARTS = TransferConfig(multipart_threshold=5 * MEGABYTES, multipart_chunksize=5 * MEGABYTES)

S3 = boto3.client("s3", endpoint_url=os.environ["S3_URL"], region_name="us-east-1", aws_access_key_id="key",
                  aws_secret_access_key="secret", config=Config(max_pool_connections=50))
S3.create_bucket(Bucket="files")


def content(name, megabytes):
    """Of an object. Its hash is the result of a request."""
    return sha256(name.encode()).digest() * (megabytes * MEGABYTES // 32)


def put(environ, start_response):
    body = content(environ["QUERY_STRING"], 5)
    S3.put_object(Bucket="files", Key=environ["QUERY_STRING"], Body=body)
    return answer(start_response, sha256(body).hexdigest().encode())


def put_in_parts(environ, start_response):
    """Threads of boto3 send the parts"""
    body = content(environ["QUERY_STRING"], 12)
    S3.upload_fileobj(io.BytesIO(body), "files", environ["QUERY_STRING"], Config=IN_PARTS)
    return answer(start_response, sha256(body).hexdigest().encode())


def get(environ, start_response):
    body = S3.get_object(Bucket="files", Key=environ["QUERY_STRING"])["Body"].read()
    return answer(start_response, sha256(body).hexdigest().encode())


def get_in_parts(environ, start_response):
    """Threads of boto3 receive the parts"""
    body = io.BytesIO()
    S3.download_fileobj("files", environ["QUERY_STRING"], body, Config=IN_PARTS)
    return answer(start_response, sha256(body.getvalue()).hexdigest().encode())


app = route_by_name(globals())
