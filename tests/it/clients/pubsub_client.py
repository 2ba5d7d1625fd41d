"""A subscriber on Google's own gRPC library, generated from the protocol file, against the sandbox.

Arguments: protocol file, base URL, client id, client secret, event service, the same with TLS, its
certificate. Events are decoded by a third implementation of Avro.
"""

import io
import json
import queue
import sys
import tempfile
from pathlib import Path

import fastavro
import grpc
import requests
from grpc_tools import protoc

PROTO, URL, CLIENT_ID, CLIENT_SECRET, PLAIN, TLS, CERTIFICATE = sys.argv[1:8]
PREFIX = "sfdc.platform.eventbus.grpc."
LEADS = "/data/LeadChangeEvent"
done = []

# Generated where nothing is left behind.
generated = tempfile.TemporaryDirectory()
folder, name = str(Path(PROTO).parent), Path(PROTO).name
assert protoc.main(["", f"-I{folder}", f"--python_out={generated.name}", f"--grpc_python_out={generated.name}", name]) == 0
sys.path.insert(0, generated.name)
import pubsub_api_pb2 as pb2  # noqa: E402
import pubsub_api_pb2_grpc as pb2_grpc  # noqa: E402


def step(function):
    function()
    done.append(function.__name__)


def host(url):
    return url.split("://")[1]


def token():
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = requests.post(f"{URL}/services/oauth2/token", data=form, timeout=30)
    answer.raise_for_status()
    return answer.json()["access_token"]


TOKEN = token()
METADATA = (("accesstoken", TOKEN), ("instanceurl", URL), ("tenantid", TOKEN.split("!")[0]))
plain = pb2_grpc.PubSubStub(grpc.insecure_channel(host(PLAIN)))


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {TOKEN}", "Sforce-Call-Options": "client=pubsub-test"}
    answer = requests.request(method, f"{URL}/services/data/v66.0/{path}", json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


class Subscriber:
    """One stream. Its requests come from a queue, so that the sending half stays open."""

    def __init__(self, stub, topic, count, preset=pb2.LATEST, replay_id=b""):
        self.requests = queue.Queue()
        self.ask(count, topic, preset, replay_id)
        self.stub = stub
        self.stream = stub.Subscribe(iter(self.requests.get, None), metadata=METADATA, timeout=60)
        self.schemas = {}

    def ask(self, count, topic="", preset=pb2.LATEST, replay_id=b""):
        request = pb2.FetchRequest(topic_name=topic, num_requested=count, replay_preset=preset, replay_id=replay_id)
        self.requests.put(request)

    def next(self):
        """The next event: header, changed fields, body, replay id."""
        while True:
            response = next(self.stream)
            if response.events:
                assert len(response.events) == 1, response
                return self.decode(response.events[0])

    def decode(self, event):
        schema_id = event.event.schema_id
        if schema_id not in self.schemas:
            info = self.stub.GetSchema(pb2.SchemaRequest(schema_id=schema_id), metadata=METADATA)
            self.schemas[schema_id] = fastavro.parse_schema(json.loads(info.schema_json))
        schema = self.schemas[schema_id]
        body = fastavro.schemaless_reader(io.BytesIO(event.event.payload), schema)
        header = body.pop("ChangeEventHeader")
        names = [field["name"] for field in schema["fields"]]
        changed = []
        for item in header["changedFields"]:
            place, _, bits = item.rpartition("-")
            bits = int(bits, 16)
            where = [at for at in range(bits.bit_length()) if bits >> at & 1]
            changed += [f"{names[int(place)]}.{at}" for at in where] if place else [names[at] for at in where]
        return header, changed, body, event.replay_id

    def close(self):
        self.requests.put(None)
        self.stream.cancel()


def refused(status, code, work):
    try:
        work()
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        assert error.code() == status, error
        assert trailers.get("error-code") == PREFIX + code, trailers
        assert trailers.get("rpc-id"), trailers
        return
    raise AssertionError(f"nothing was refused, {code} was due")


def topic_and_schema():
    topic = plain.GetTopic(pb2.TopicRequest(topic_name=LEADS), metadata=METADATA)
    assert topic.can_subscribe and not topic.can_publish, topic
    schema = plain.GetSchema(pb2.SchemaRequest(schema_id=topic.schema_id), metadata=METADATA)
    parsed = json.loads(schema.schema_json)
    assert parsed["name"] == "LeadChangeEvent" and parsed["uuid"] == topic.schema_id, parsed
    assert parsed["fields"][12]["name"] == "Status", parsed


seen = {}


def events(stub=plain):
    stream = Subscriber(stub, LEADS, 1)
    # The first event of a stream that begins at the newest is the one that is made after it began.
    wait_until_open()
    made = call("POST", "sobjects/Lead", {"LastName": "Okafor", "Company": "Acme", "City": "Oslo"})["id"]
    header, changed, body, replay_id = stream.next()
    assert (header["changeType"], header["recordIds"], changed) == ("CREATE", [made], []), header
    assert body["Name"]["LastName"] == "Okafor" and body["Address"]["City"] == "Oslo", body
    assert header["changeOrigin"] == "com/salesforce/api/rest/66.0;client=pubsub-test", header
    # One was requested, and one came: nothing more until it is asked for.
    stream.ask(99)
    call("PATCH", f"sobjects/Lead/{made}", {"Status": "Working - Contacted", "City": None, "Country": "Norway"})
    header, changed, body, _ = stream.next()
    # Only the service knows in what order a body's own bits and those of its compounds come.
    assert set(changed) >= {"Status", "LastModifiedDate", "Address.1", "Address.4"}, changed
    assert header["nulledFields"] == ["4-0x02"] and body["Address"]["City"] is None, header
    assert body["Company"] is None, "what did not change is not told"
    seen["lead"], seen["replay"] = made, replay_id
    stream.close()


def with_tls():
    trust = grpc.ssl_channel_credentials(Path(CERTIFICATE).read_bytes())
    events(pb2_grpc.PubSubStub(grpc.secure_channel(host(TLS), trust)))


def wait_until_open():
    """A stream counts once the service has opened it; the admin door counts them."""
    for _ in range(200):
        counted = requests.get(f"{URL}/sandbox/calls", timeout=30).json()["pushed"]
        opened = sum(at["count"] for at in counted if (at["what"], at["outcome"]) == ("Subscribe", "ok"))
        if opened > seen.get("opened", 0):
            seen["opened"] = opened
            return
    raise AssertionError("the stream was not opened")


def replay():
    stream = Subscriber(plain, LEADS, 10, pb2.CUSTOM, seen["replay"])
    header, _, _, _ = stream.next()
    assert (header["changeType"], header["recordIds"]) == ("UPDATE", [seen["lead"]]), header
    stream.close()
    wait_until_open()


def schema_changes():
    stream = Subscriber(plain, "/data/ChangeEvents", 10)
    wait_until_open()
    call("PATCH", f"sobjects/Lead/{seen['lead']}", {"Title": "CTO"})
    stream.next()
    added = {"name": "Added__c", "label": "Added", "type": "string"}
    requests.post(f"{URL}/sandbox/salesforce/fields/Lead", json=added, timeout=30).raise_for_status()
    call("PATCH", f"sobjects/Lead/{seen['lead']}", {"Added__c": "new"})
    _, changed, body, _ = stream.next()
    assert body["Added__c"] == "new" and "Added__c" in changed, body
    assert len(stream.schemas) == 2
    stream.close()


def refusals():
    bad = (("accesstoken", "00D!no"), *METADATA[1:])
    topic = pb2.TopicRequest(topic_name=LEADS)
    refused(grpc.StatusCode.UNAUTHENTICATED, "service.auth.error", lambda: plain.GetTopic(topic, metadata=bad))
    other = pb2.TopicRequest(topic_name="/data/NothingChangeEvent")
    refused(grpc.StatusCode.NOT_FOUND, "topic.not.found", lambda: plain.GetTopic(other, metadata=METADATA))
    corrupted = "subscription.fetch.replayid.corrupted"
    work = lambda: Subscriber(plain, LEADS, 1, pb2.CUSTOM, b"\x00\x01").next()  # noqa: E731
    refused(grpc.StatusCode.INVALID_ARGUMENT, corrupted, work)
    requests.post(f"{URL}/sandbox/faults", json={"fault": "pubsub-unavailable"}, timeout=30).raise_for_status()
    refused(grpc.StatusCode.INTERNAL, "service.unavailable", lambda: plain.GetTopic(topic, metadata=METADATA))


for part in [topic_and_schema, events, with_tls, replay, schema_changes, refusals]:
    step(part)
print("grpcio: " + ", ".join(done))
