"""Signs one request as the reaper does and as AWS's own library does; prints both signatures. Keys are AWS's examples."""
import runpy
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

reap = runpy.run_path(sys.argv[1])
body, host = b'{"ClusterId": "j-1"}', "elasticmapreduce.us-west-2.amazonaws.com"
keys = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", sys.argv[2] or None)
headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "ElasticMapReduce.DescribeCluster"}
ours = reap["signed"]("us-west-2", host, dict(headers), body, keys)

request = AWSRequest("POST", f"https://{host}/", {**headers, "host": host}, body)
request.context["timestamp"] = ours["x-amz-date"]
auth = SigV4Auth(Credentials(*keys), "elasticmapreduce", "us-west-2")
request.headers["X-Amz-Date"] = ours["x-amz-date"]
if keys[2]:
    request.headers["X-Amz-Security-Token"] = keys[2]
canonical = auth.canonical_request(request)
theirs = auth.signature(auth.string_to_sign(request, canonical), request)
print(ours["authorization"].rsplit("Signature=", 1)[1], theirs)
