//! The resources of bulk jobs.

use serde_json::{Value, json};

use super::Answer;
use super::call::{Body, Call, Reply};
use crate::sandbox::salesforce::bulk::{self, Job, OPERATIONS, State, Work};
use crate::sandbox::salesforce::refusal::{Code, Refusal};
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

impl Org {
    pub(super) fn rest_jobs(&mut self, call: &Call, kind: &str, rest: &[&str]) -> Answer {
        let ingest = match kind {
            "ingest" => true,
            "query" => false,
            _ => return Ok(Reply::not_modelled()),
        };
        match (call.method.as_str(), rest) {
            ("POST", []) if ingest => self.open_ingest(call),
            ("POST", []) => self.open_query(call),
            ("GET", []) => Ok(Reply::ok(self.list_jobs(ingest))),
            ("GET", [id]) => Ok(Reply::ok(self.job(id, ingest)?.to_json())),
            ("PATCH", [id]) => self.move_job(call, id, ingest),
            ("DELETE", [id]) => {
                let job = self.job(id, ingest)?.id.clone();
                self.jobs.all.remove(&job);
                Ok(Reply::empty(204))
            }
            ("PUT", [id, "batches"]) if ingest => self.upload(call, id),
            ("GET", [id, "results"]) if !ingest => self.query_results(call, id),
            ("GET", [id, which]) if ingest => self.ingest_results(id, which),
            _ => Ok(Reply::not_modelled()),
        }
    }

    fn list_jobs(&self, ingest: bool) -> Value {
        let records: Vec<Value> = self
            .jobs
            .all
            .values()
            .filter(|job| matches!(job.work, Work::Ingest { .. }) == ingest)
            .map(Job::to_json)
            .collect();
        json!({"done": true, "records": records, "nextRecordsUrl": null})
    }

    fn job(&mut self, id: &str, ingest: bool) -> Result<&mut Job, Refusal> {
        let id = crate::sandbox::salesforce::id::normalise(id).unwrap_or_else(|| id.into());
        self.jobs
            .all
            .get_mut(&id)
            .filter(|job| matches!(job.work, Work::Ingest { .. }) == ingest)
            .ok_or_else(|| Refusal::call(Code::NotFound, "The requested resource does not exist"))
    }

    fn new_job(
        &mut self,
        call: &Call,
        body: &Value,
        object: String,
        work: Work,
    ) -> Result<Job, Refusal> {
        let named = body.get("columnDelimiter").and_then(Value::as_str).unwrap_or("COMMA");
        let Some(delimiter) = bulk::delimiter(named) else {
            return Err(Refusal::call(
                Code::InvalidJob,
                format!("InvalidJob : bad columnDelimiter {named}"),
            ));
        };
        Ok(Job {
            id: self.ids.allocate("750"),
            object,
            work,
            state: State::Open,
            error: None,
            write: bulk::bulk_write(call.write(), body.get("assignmentRuleId").is_some()),
            version: call.version.clone(),
            delimiter,
            crlf: body.get("lineEnding").and_then(Value::as_str) == Some("CRLF"),
            created: call.now,
            due: None,
            rows: Vec::new(),
            successful: Vec::new(),
            failed: Vec::new(),
            unprocessed: Vec::new(),
        })
    }

    fn open_ingest(&mut self, call: &Call) -> Answer {
        let body = Value::Object(call.object()?);
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let invalid = |message: String| {
            Err(Refusal::call(Code::InvalidJob, format!("InvalidJob : {message}")))
        };
        let (Some(object), Some(operation)) = (text("object"), text("operation")) else {
            return invalid("object and operation are required".to_owned());
        };
        let Some(known) = self.object(&object).cloned() else {
            return invalid(format!("Unable to find object: {object}"));
        };
        if !OPERATIONS.contains(&operation.as_str()) {
            return invalid(format!(
                "found operation {operation}, expected one of {}",
                OPERATIONS.join(", ")
            ));
        }
        let key = text("externalIdFieldName");
        if operation == "upsert"
            && key
                .as_deref()
                .and_then(|k| known.field(k))
                .is_none_or(|f| !f.external_id && !f.id_lookup)
        {
            return invalid(
                "an upsert needs an externalIdFieldName that is an external id".to_owned(),
            );
        }
        let work = Work::Ingest { operation, key, data: String::new() };
        let job = self.new_job(call, &body, known.name.to_string(), work)?;
        let shown = job.to_json();
        self.jobs.add(job);
        Ok(Reply::ok(shown))
    }

    fn open_query(&mut self, call: &Call) -> Answer {
        let body = Value::Object(call.object()?);
        let Some(text) = body.get("query").and_then(Value::as_str).map(str::to_owned) else {
            return Err(Refusal::call(Code::InvalidJob, "InvalidJob : query is required"));
        };
        // A query that cannot be read is refused at once, as on the platform.
        let bound = self.prepare(&text, call.now)?;
        let all = body.get("operation").and_then(Value::as_str) == Some("queryAll");
        let mut job =
            self.new_job(call, &body, bound.object.to_string(), Work::Query { text, all })?;
        job.state = State::UploadComplete;
        job.due = Some(time::after(call.now, self.settings.bulk_delay));
        let shown = job.to_json();
        self.jobs.add(job);
        Ok(Reply::ok(shown))
    }

    fn upload(&mut self, call: &Call, id: &str) -> Answer {
        let text = String::from_utf8(call.body.to_vec())
            .map_err(|_| Refusal::call(Code::InvalidJob, "InvalidBatch : the data is not UTF-8"))?;
        let job = self.job(id, true)?;
        match &mut job.work {
            Work::Ingest { data, .. } if job.state == State::Open && data.is_empty() => {
                *data = text;
                Ok(Reply::empty(201))
            }
            _ => Err(Refusal::call(
                Code::InvalidJobState,
                format!(
                    "Found data for a job in state {}, expected an open and empty one",
                    job.state.wire()
                ),
            )),
        }
    }

    fn move_job(&mut self, call: &Call, id: &str, ingest: bool) -> Answer {
        let body = call.object()?;
        let due = time::after(call.now, self.settings.bulk_delay);
        let wanted = body.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
        let job = self.job(id, ingest)?;
        match (wanted.as_str(), job.state) {
            ("UploadComplete", State::Open) if ingest => {
                job.state = State::UploadComplete;
                job.due = Some(due);
            }
            ("Aborted", State::Open | State::UploadComplete) => {
                job.state = State::Aborted;
                job.due = None;
            }
            (_, state) => {
                let message = format!("a job in state {} cannot become '{wanted}'", state.wire());
                return Err(Refusal::call(Code::InvalidJobState, message));
            }
        }
        Ok(Reply::ok(job.to_json()))
    }

    fn ingest_results(&mut self, id: &str, which: &str) -> Answer {
        let job = self.job(id, true)?;
        let rows = match which.to_ascii_lowercase().as_str() {
            "successfulresults" => &job.successful,
            "failedresults" => &job.failed,
            "unprocessedrecords" => &job.unprocessed,
            _ => return Ok(Reply::not_modelled()),
        };
        if !matches!(job.state, State::JobComplete | State::Failed | State::Aborted) {
            return Err(unfinished(job));
        }
        Ok(csv_reply(bulk::to_csv(rows, job.delimiter, job.crlf)))
    }

    fn query_results(&mut self, call: &Call, id: &str) -> Answer {
        let from: usize = match call.param("locator") {
            None | Some("null") => 0,
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::call(Code::InvalidQueryLocator, "invalid query locator"))?,
        };
        let most =
            call.param("maxRecords").and_then(|v| v.parse::<usize>().ok()).unwrap_or(50_000).max(1);
        let job = self.job(id, false)?;
        if job.state != State::JobComplete {
            return Err(unfinished(job));
        }
        let data = job.rows.get(1..).unwrap_or_default();
        let to = data.len().min(from.saturating_add(most));
        let page = data.get(from..to).unwrap_or_default();
        let rows: Vec<Vec<String>> =
            job.rows.first().cloned().into_iter().chain(page.iter().cloned()).collect();
        let locator = if to < data.len() { to.to_string() } else { "null".to_owned() };
        Ok(csv_reply(bulk::to_csv(&rows, job.delimiter, job.crlf))
            .with("sforce-locator", locator)
            .with("sforce-numberofrecords", page.len().to_string()))
    }
}

fn unfinished(job: &Job) -> Refusal {
    let message =
        format!("the job is in state {}, its results come when it is complete", job.state.wire());
    Refusal::call(Code::InvalidJobState, message)
}

fn csv_reply(text: String) -> Reply {
    Reply { body: Body::Text("text/csv", text), ..Reply::empty(200) }
}
