"""HubSpot's own Python client against the sandbox. Arguments: base URL, token."""

import sys
import time

from hubspot import HubSpot
from hubspot.crm.associations.v4.models import AssociationSpec, BatchInputPublicDefaultAssociationMultiPost, PublicDefaultAssociationMultiPost
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectBatchInput,
    SimplePublicObjectBatchInputUpsert,
    SimplePublicObjectId,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.contacts.exceptions import ApiException
from hubspot.crm.companies import SimplePublicObjectInputForCreate as Company

URL, TOKEN = sys.argv[1:3]
hubspot = HubSpot(access_token=TOKEN, host=URL, base_url=URL)
contacts = hubspot.crm.contacts
done = []


def step(function):
    function()
    done.append(function.__name__)


def person(number, **more):
    values = {"email": f"client{number}@example.com", "firstname": "Client", "lastname": f"No {number}"}
    return SimplePublicObjectInputForCreate(properties={**values, **more})


def refused(status, call):
    try:
        call()
    except ApiException as error:
        assert error.status == status, (error.status, error.body)
        return error.body
    raise AssertionError(f"nothing was refused, {status} was due")


ids = []


def create_and_read():
    made = contacts.basic_api.create(person(0, jobtitle="Countess"))
    ids.append(made.id)
    assert made.properties["email"] == "client0@example.com", made
    read = contacts.basic_api.get_by_id(made.id, properties=["jobtitle", "email"], archived=False)
    assert read.properties["jobtitle"] == "Countess", read
    by_mail = contacts.basic_api.get_by_id("client0@example.com", id_property="email")
    assert by_mail.id == made.id, by_mail
    changed = contacts.basic_api.update(made.id, SimplePublicObjectInput(properties={"jobtitle": "Analyst"}))
    assert changed.properties["jobtitle"] == "Analyst", changed
    history = contacts.basic_api.get_by_id(made.id, properties_with_history=["jobtitle"])
    values = [one.value for one in history.properties_with_history["jobtitle"]]
    assert values == ["Analyst", "Countess"], values


def conflict():
    body = refused(409, lambda: contacts.basic_api.create(person(0)))
    assert "CONFLICT" in body and ids[0] in body, body
    body = refused(404, lambda: contacts.basic_api.get_by_id("999999999999"))
    body = refused(400, lambda: contacts.basic_api.update(ids[0], SimplePublicObjectInput(properties={"no_such": "1"})))
    assert "PROPERTY_DOESNT_EXIST" in body, body
    stranger = HubSpot(access_token="pat-na1-00000000-0000-4000-8000-000000000000", host=URL, base_url=URL)
    refused(401, lambda: stranger.crm.contacts.basic_api.get_page(limit=1))


def stages_do_not_go_back():
    """A backward stage is answered with 200 and the old value; a cleared one may be set."""

    def to(stage):
        answer = contacts.basic_api.update(ids[0], SimplePublicObjectInput(properties={"lifecyclestage": stage}))
        assert answer is not None
        return contacts.basic_api.get_by_id(ids[0], properties=["lifecyclestage"]).properties["lifecyclestage"]

    assert to("salesqualifiedlead") == "salesqualifiedlead"
    assert to("lead") == "salesqualifiedlead"
    assert not to("")
    assert to("lead") == "lead"


def batches():
    made = contacts.batch_api.create({"inputs": [person(n).to_dict() for n in range(1, 8)]})
    assert made.status == "COMPLETE" and len(made.results) == 7, made
    # A batch is answered in an order of its own.
    made = {one.properties["email"]: one.id for one in made.results}
    ids.extend(made[f"client{n}@example.com"] for n in range(1, 8))
    wanted = [SimplePublicObjectId(id=one) for one in [ids[0], ids[1], "999999999999"]]
    read = contacts.batch_api.read(
        BatchReadInputSimplePublicObjectId(inputs=wanted, properties=["email"], properties_with_history=[])
    )
    assert type(read).__name__.endswith("WithErrors"), type(read)
    assert len(read.results) == 2 and read.num_errors == 1, read
    error = read.errors[0]
    assert (error.status, error.category) == ("error", "OBJECT_NOT_FOUND"), error
    assert error.context["ids"] == ["999999999999"], error
    inputs = [SimplePublicObjectBatchInput(id=one, properties={"jobtitle": "Batched"}) for one in ids[1:4]]
    changed = contacts.batch_api.update(BatchInputSimplePublicObjectBatchInput(inputs=inputs))
    assert {one.properties["jobtitle"] for one in changed.results} == {"Batched"}, changed
    upserts = [
        SimplePublicObjectBatchInputUpsert(id=f"client{n}@example.com", id_property="email", properties={"jobtitle": "Upserted"})
        for n in (1, 50)
    ]
    upserted = contacts.batch_api.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs=upserts))
    news = {one.id: one.new for one in upserted.results}
    assert news.pop(ids[1]) is False and list(news.values()) == [True], upserted


def search():
    """The index lags: it is asked until it has caught up, as clients have to."""
    request = PublicObjectSearchRequest(
        query=None,
        limit=3,
        after="0",
        sorts=["-hs_object_id"],
        properties=["email"],
        filter_groups=[{"filters": [{"propertyName": "firstname", "operator": "EQ", "value": "Client"}]}],
    )
    for _ in range(60):
        page = contacts.search_api.do_search(request)
        if page.total == 8:
            break
        time.sleep(0.5)
    assert page.total == 8, page.total
    seen, after = [], "0"
    while after:
        request.after = after
        page = contacts.search_api.do_search(request)
        assert len(page.results) <= 3
        seen += [one.id for one in page.results]
        after = page.paging.next.after if page.paging else None
    assert sorted(seen) == sorted(ids), (seen, ids)
    everybody = contacts.get_all(properties=["email"])
    assert set(ids) <= {one.id for one in everybody}


def schema():
    owners = hubspot.crm.owners.get_all()
    assert owners and all(one.id and one.email for one in owners), owners
    page = hubspot.crm.owners.owners_api.get_page(limit=1, archived=False)
    assert len(page.results) == 1 and page.paging.next.after, page
    pipelines = hubspot.crm.pipelines.pipelines_api.get_all("deals").results
    assert pipelines and all(stage.id for stage in pipelines[0].stages), pipelines
    stage = hubspot.crm.properties.core_api.get_by_name("contacts", "lifecyclestage")
    assert "marketingqualifiedlead" in [option.value for option in stage.options], stage
    names = [one.name for one in hubspot.crm.properties.core_api.get_all("contacts").results]
    assert {"email", "lead_score", "salesforce_id"} <= set(names), names


def associations():
    company = hubspot.crm.companies.basic_api.create(Company(properties={"name": "Analytical Engines"}))
    api = hubspot.crm.associations.v4
    pair = PublicDefaultAssociationMultiPost(_from={"id": ids[0]}, to={"id": company.id})
    api.batch_api.create_default("contacts", "companies", BatchInputPublicDefaultAssociationMultiPost(inputs=[pair]))
    spec = AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=279)
    api.basic_api.create("contacts", ids[1], "companies", company.id, [spec])
    for one in ids[:2]:
        page = api.basic_api.get_page("contacts", one, "companies")
        assert [str(found.to_object_id) for found in page.results] == [company.id], page


def archive():
    contacts.basic_api.archive(ids[-1])
    refused(404, lambda: contacts.basic_api.get_by_id(ids[-1]))
    gone = contacts.basic_api.get_by_id(ids[-1], archived=True)
    assert gone.archived and gone.archived_at, gone


for one in [create_and_read, conflict, stages_do_not_go_back, batches, search, schema, associations, archive]:
    step(one)
print("HubSpot's client:", ", ".join(done))
