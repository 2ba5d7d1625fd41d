"""simple-salesforce against the sandbox. Arguments: base URL, client id, client secret."""

import sys

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

URL, CLIENT_ID, CLIENT_SECRET = sys.argv[1:4]
HOST = URL.removeprefix("http://")
done = []


class Plain(HTTPAdapter):
    """The client builds https addresses only; the sandbox speaks plain HTTP on loopback."""

    def send(self, request, **more):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **more)


def session():
    made = requests.Session()
    made.mount("https://", Plain())
    return made


def token():
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = requests.post(f"{URL}/services/oauth2/token", data=form, timeout=30)
    answer.raise_for_status()
    return answer.json()["access_token"]


def connect(with_token):
    return Salesforce(instance=HOST, session_id=with_token, session=session(), version="62.0")


def step(function):
    function()
    done.append(function.__name__)


def refused(kind, call, code):
    try:
        call()
    except kind as error:
        assert error.content[0]["errorCode"] == code, error.content
        return error.content[0]
    raise AssertionError(f"nothing was refused, {code} was due")


def lead(number, **more):
    return {"FirstName": "Client", "LastName": f"No {number}", "Company": "Engines", "Email": f"c{number}@example.com", **more}


sf = connect(token())
ids = []


def describe():
    kinds = {one["name"] for one in sf.describe()["sobjects"]}
    assert {"Lead", "Contact", "Account", "Opportunity", "User"} <= kinds, kinds
    fields = {one["name"]: one for one in sf.Lead.describe()["fields"]}
    assert fields["HubSpot_Id__c"]["externalId"] and fields["HubSpot_Id__c"]["unique"]
    status = {one["value"] for one in fields["Status"]["picklistValues"]}
    assert "Open - Not Contacted" in status, status
    assert sf.limits()["DailyApiRequests"]["Max"] > 0
    assert sf.is_sandbox() in (True, False)


def create_read_update_delete():
    made = sf.Lead.create(lead(0, Title="Countess"))
    assert made["success"] and len(made["id"]) == 18, made
    row = sf.Lead.get(made["id"])
    assert row["Title"] == "Countess" and row["Status"] == "Open - Not Contacted", row
    assert sf.Lead.update(made["id"], {"Title": "Analyst"}) == 204
    assert sf.Lead.get(made["id"])["Title"] == "Analyst"
    refused(SalesforceMalformedRequest, lambda: sf.Lead.create({"FirstName": "No"}), "REQUIRED_FIELD_MISSING")
    refused(SalesforceMalformedRequest, lambda: sf.Lead.update(made["id"], {"Nope__c": 1}), "INVALID_FIELD")
    wrong = {"Lifecycle_Stage__c": "Nonsense"}
    refused(SalesforceMalformedRequest, lambda: sf.Lead.update(made["id"], wrong), "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
    assert sf.Lead.delete(made["id"]) == 204
    refused(SalesforceResourceNotFound, lambda: sf.Lead.get(made["id"]), "ENTITY_IS_DELETED")
    refused(SalesforceResourceNotFound, lambda: sf.Lead.get("00Q000000000001EAA"), "NOT_FOUND")


def upsert_by_external_id():
    assert sf.Lead.upsert("HubSpot_Id__c/7001", lead(1)) == 201
    assert sf.Lead.upsert("HubSpot_Id__c/7001", {"Title": "Again"}) in (200, 204)
    row = sf.Lead.get_by_custom_id("HubSpot_Id__c", "7001")
    assert row["Title"] == "Again", row
    ids.append(row["Id"])


def collections():
    """Rows of one call fare each by itself."""
    rows = [{"attributes": {"type": "Lead"}, **lead(n)} for n in range(2, 7)]
    rows.append({"attributes": {"type": "Lead"}, "FirstName": "Nameless"})
    body = {"allOrNone": False, "records": rows}
    answer = sf.restful("composite/sobjects", method="POST", json=body)
    assert [one["success"] for one in answer] == [True] * 5 + [False], answer
    assert answer[5]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING", answer[5]
    ids.extend(one["id"] for one in answer[:5])
    read = sf.restful("composite/sobjects/Lead", method="POST", json={"ids": ids, "fields": ["Email"]})
    assert [one["Email"] for one in read] == [f"c{n}@example.com" for n in range(1, 7)], read


def queries():
    requests.patch(f"{URL}/sandbox/salesforce/settings", json={"page_size": 200}, timeout=30).raise_for_status()
    for start in (100, 300):
        rows = [{"attributes": {"type": "Lead"}, **lead(n, LeadSource="Web")} for n in range(start, start + 150)]
        answer = sf.restful("composite/sobjects", method="POST", json={"allOrNone": True, "records": rows})
        assert all(one["success"] for one in answer), answer[0]
    first = sf.query("SELECT Id, Owner.Name FROM Lead WHERE LeadSource = 'Web' ORDER BY Email")
    assert (first["totalSize"], first["done"], len(first["records"])) == (300, False, 200), first["totalSize"]
    rest = sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert rest["done"] and len(rest["records"]) == 100
    assert first["records"][0]["Owner"]["Name"], first["records"][0]
    every = list(sf.query_all_iter("SELECT Id FROM Lead WHERE LeadSource = 'Web'"))
    assert len({one["Id"] for one in every}) == 300
    count = sf.query("SELECT COUNT() FROM Lead WHERE (LeadSource = 'Web' AND NOT Email LIKE 'c1%') OR Email = null")
    assert count["totalSize"] == 200, count
    groups = sf.query("SELECT LeadSource, COUNT(Id) n FROM Lead WHERE LeadSource != null GROUP BY LeadSource")
    assert [one["n"] for one in groups["records"]] == [300], groups
    refused(SalesforceMalformedRequest, lambda: sf.query("SELECT Nope FROM Lead"), "INVALID_FIELD")
    refused(SalesforceMalformedRequest, lambda: sf.query("SELECT FROM"), "MALFORMED_QUERY")


def bulk():
    rows = [lead(n, HubSpot_Id__c=str(9000 + n), LeadSource="Other") for n in range(500, 540)]
    job = sf.bulk2.Lead.upsert(records=rows, external_id_field="HubSpot_Id__c")[0]
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (40, 0), job
    wrong = sf.bulk2.Lead.insert(records=[lead(600), {**lead(601), "LastName": ""}])[0]
    assert (wrong["numberRecordsProcessed"], wrong["numberRecordsFailed"]) == (2, 1), wrong
    assert "REQUIRED_FIELD_MISSING" in sf.bulk2.Lead.get_failed_records(wrong["job_id"])
    assert "c600@example.com" in sf.bulk2.Lead.get_successful_records(wrong["job_id"])
    pages = list(sf.bulk2.Lead.query("SELECT Id, Email FROM Lead WHERE LeadSource = 'Other'", max_records=25))
    lines = sum(len(page.strip().splitlines()) - 1 for page in pages)
    assert (len(pages), lines) == (2, 40), (len(pages), lines)


def conversion():
    """What no REST call does, a person does through the sandbox's own door."""
    door = f"{URL}/sandbox/salesforce/records/{ids[0]}/convert"
    became = requests.post(door, json={"opportunity": "Engines for all"}, timeout=30)
    became.raise_for_status()
    became = became.json()["result"]
    row = sf.query(f"SELECT IsConverted, ConvertedContactId FROM Lead WHERE Id = '{ids[0]}'")["records"][0]
    assert row["IsConverted"] and row["ConvertedContactId"] == became["contactId"], row
    assert sf.Contact.get(became["contactId"])["Email"] == "c1@example.com"
    assert sf.Opportunity.get(became["opportunityId"])["Name"] == "Engines for all"
    refused(SalesforceMalformedRequest, lambda: sf.Lead.update(ids[0], {"Title": "Late"}), "CANNOT_UPDATE_CONVERTED_LEAD")


def sessions_expire():
    requests.delete(f"{URL}/sandbox/salesforce/sessions", timeout=30).raise_for_status()
    refused(SalesforceExpiredSession, lambda: sf.Lead.get(ids[1]), "INVALID_SESSION_ID")
    assert connect(token()).Lead.get(ids[1])["LastName"] == "No 2"


steps = [describe, create_read_update_delete, upsert_by_external_id, collections, queries, bulk, conversion]
for one in [*steps, sessions_expire]:
    step(one)
print("simple-salesforce:", ", ".join(done))
