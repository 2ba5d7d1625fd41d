//! Bulk API 2.0 jobs: loads and queries that finish some time after they were asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::changes::Channel;
use super::dml::Write;
use super::id::Id;
use super::refusal::{Code, Refusal};
use super::soql::{Bound, Found};
use super::time;
use super::world::Org;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    UploadComplete,
    JobComplete,
    Failed,
    Aborted,
}

impl State {
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::UploadComplete => "UploadComplete",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }
}

/// What a job does.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Writes the rows of a CSV.
    Ingest { operation: String, key: Option<String>, data: String },
    /// Runs a query.
    Query { text: String, all: bool },
}

/// One job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub id: Id,
    pub object: String,
    pub work: Work,
    pub state: State,
    pub error: Option<String>,
    pub write: Write,
    pub version: String,
    pub delimiter: u8,
    pub crlf: bool,
    pub created: Timestamp,
    pub due: Option<Timestamp>,
    /// The header and the rows of the answer to a query.
    pub rows: Vec<Vec<String>>,
    pub successful: Vec<Vec<String>>,
    pub failed: Vec<Vec<String>>,
    pub unprocessed: Vec<Vec<String>>,
}

/// All jobs, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub all: BTreeMap<Id, Job>,
    ingested: u64,
    queried: u64,
}

impl Jobs {
    pub(super) fn ingested(&self) -> u64 {
        self.ingested
    }

    pub(super) fn queried(&self) -> u64 {
        self.queried
    }

    pub(super) fn add(&mut self, job: Job) {
        match job.work {
            Work::Ingest { .. } => self.ingested += 1,
            Work::Query { .. } => self.queried += 1,
        }
        self.all.insert(job.id.clone(), job);
    }
}

/// The operations of a load.
pub(super) const OPERATIONS: [&str; 5] = ["insert", "update", "upsert", "delete", "hardDelete"];

/// Rows as CSV with every cell quoted, as the platform writes them.
pub(super) fn to_csv(rows: &[Vec<String>], delimiter: u8, crlf: bool) -> String {
    let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .delimiter(delimiter)
        .terminator(terminator)
        .flexible(true)
        .from_writer(Vec::new());
    for row in rows {
        // Writing to memory cannot fail, and `flexible` takes rows of any length.
        let _ = writer.write_record(row);
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

impl Org {
    /// Runs the jobs whose time has come.
    pub(super) fn finish_jobs(&mut self, now: Timestamp) {
        let due: Vec<Id> = self
            .jobs
            .all
            .values()
            .filter(|job| job.due.is_some_and(|due| due <= now))
            .map(|job| job.id.clone())
            .collect();
        for id in due {
            let Some(mut job) = self.jobs.all.get(&id).cloned() else { continue };
            // The rows are stamped with the time at which the job ended.
            job.write.now = job.due.take().unwrap_or(now);
            match job.work.clone() {
                Work::Ingest { operation, key, data } => {
                    self.ingest(&mut job, &operation, key.as_deref(), &data);
                }
                Work::Query { text, all } => self.bulk_query(&mut job, &text, all),
            }
            self.jobs.all.insert(id, job);
        }
    }

    fn ingest(&mut self, job: &mut Job, operation: &str, key: Option<&str>, data: &str) {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(job.delimiter)
            .flexible(true)
            .from_reader(data.as_bytes());
        let header: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(error) => {
                job.state = State::Failed;
                job.error = Some(format!("InvalidBatch : Failed to parse CSV header: {error}"));
                return;
            }
        };
        let with = |first: [&str; 2]| -> Vec<String> {
            first.iter().map(|s| (*s).to_owned()).chain(header.clone()).collect()
        };
        job.successful.push(with(["sf__Id", "sf__Created"]));
        job.failed.push(with(["sf__Id", "sf__Error"]));
        job.unprocessed.push(header.clone());
        for record in reader.records() {
            let cells: Vec<String> = match record {
                Ok(record) => record.iter().map(str::to_owned).collect(),
                Err(error) => {
                    job.state = State::Failed;
                    job.error = Some(format!("InvalidBatch : Failed to parse CSV: {error}"));
                    return;
                }
            };
            let own = named_id(&header, &cells).unwrap_or_default();
            match self.ingest_row(job, operation, key, &header, &cells) {
                Ok((id, created)) => {
                    let first = [id.to_string(), created.to_string()];
                    job.successful.push(first.into_iter().chain(cells).collect());
                }
                Err(refusal) => {
                    let first = [own, refusal.to_bulk_text()];
                    job.failed.push(first.into_iter().chain(cells).collect());
                }
            }
        }
        job.state = State::JobComplete;
    }

    fn ingest_row(
        &mut self,
        job: &Job,
        operation: &str,
        key: Option<&str>,
        header: &[String],
        cells: &[String],
    ) -> Result<(Id, bool), Refusal> {
        let mut values = row_values(header, cells);
        let own = || {
            named_id(header, cells)
                .filter(|id| !id.is_empty())
                .ok_or_else(|| Refusal::row(Code::MissingArgument, "Id not specified", &["Id"]))
        };
        match operation {
            "insert" => Ok((self.create(&job.write, &job.object, &values)?, true)),
            "update" => {
                let id = own()?;
                self.update(&job.write, &job.object, &id, &values)?;
                Ok((super::id::normalise(&id).unwrap_or_else(|| id.into()), false))
            }
            "upsert" => {
                let object = self.object(&job.object).cloned();
                let field = object.as_ref().and_then(|o| o.field(key?)).cloned();
                let (Some(object), Some(field)) = (object, field) else {
                    let message = "external id field not found";
                    return Err(Refusal::row(Code::InvalidField, message, &[]));
                };
                let name = values.keys().find(|k| k.eq_ignore_ascii_case(&field.name)).cloned();
                let value = name.and_then(|n| values.remove(&n)).unwrap_or(Value::Null);
                match self.find_by_key(&object, &field, &value).as_slice() {
                    [] => {
                        values.insert(field.name.to_string(), value);
                        Ok((self.create(&job.write, &object.name, &values)?, true))
                    }
                    [row] => {
                        self.update(&job.write, &object.name, &row.id, &values)?;
                        Ok((row.id.clone(), false))
                    }
                    _ => {
                        let message = "more than one record found for external id field";
                        Err(Refusal::row(Code::DuplicateExternalId, message, &[]))
                    }
                }
            }
            _ => {
                let id = own()?;
                if operation == "hardDelete" {
                    self.hard_delete(&job.write, &id)?;
                } else {
                    self.delete(&job.write, &job.object, &id)?;
                }
                Ok((super::id::normalise(&id).unwrap_or_else(|| id.into()), false))
            }
        }
    }

    fn bulk_query(&mut self, job: &mut Job, text: &str, all: bool) {
        let bound = match self.prepare(text, job.write.now) {
            Ok(bound) => bound,
            Err(error) => {
                job.state = State::Failed;
                job.error = Some(Refusal::from(error).to_string());
                return;
            }
        };
        let found = self.run(&bound, all);
        job.rows = match found {
            Found::Records(rows) => {
                let rendered =
                    rows.iter().map(|row| self.render(&bound, row, &job.version)).collect();
                table_of(&bound, rendered)
            }
            Found::Aggregates(rows) => table_of(&bound, rows),
            Found::Count(_) => Vec::new(),
        };
        job.state = State::JobComplete;
    }
}

/// The `Id` cell of a row.
fn named_id(header: &[String], cells: &[String]) -> Option<String> {
    let at = header.iter().position(|h| h.eq_ignore_ascii_case("id"))?;
    cells.get(at).cloned()
}

/// A row's cells as a request's values: an empty cell says nothing, `#N/A` empties the field.
fn row_values(header: &[String], cells: &[String]) -> Map<String, Value> {
    let mut values = Map::new();
    for (name, cell) in header.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        let value = if cell == "#N/A" { Value::Null } else { json!(cell) };
        match name.split_once('.') {
            Some((relationship, key)) => {
                values.insert(relationship.to_owned(), json!({key: value}))
            }
            None => values.insert(name.clone(), value),
        };
    }
    values
}

/// Rendered rows as a table with dotted column names.
fn table_of(bound: &Bound, rows: Vec<Value>) -> Vec<Vec<String>> {
    let names = bound.column_names();
    let mut out = vec![names.clone()];
    for row in rows {
        let cells = names.iter().map(|name| {
            let value = name.split('.').try_fold(&row, |at, step| at.get(step));
            match value {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            }
        });
        out.push(cells.collect());
    }
    out
}

impl Job {
    /// The job as the API shows it.
    pub(super) fn to_json(&self) -> Value {
        let created = time::datetime(self.created.as_second());
        let line = if self.crlf { "CRLF" } else { "LF" };
        let delimiter = delimiter_name(self.delimiter);
        let common = |operation: &str, kind: &str, version: f64| {
            json!({
                "id": &*self.id,
                "operation": operation,
                "object": self.object,
                "createdById": &*self.write.user,
                "createdDate": created,
                "systemModstamp": created,
                "state": self.state.wire(),
                "concurrencyMode": "Parallel",
                "contentType": "CSV",
                "apiVersion": version,
                "jobType": kind,
                "lineEnding": line,
                "columnDelimiter": delimiter,
            })
        };
        let version = self.version.trim_start_matches('v').parse().unwrap_or(66.0);
        let (mut out, more) = match &self.work {
            Work::Ingest { operation, key, .. } => (
                common(operation, "V2Ingest", version),
                json!({
                    "externalIdFieldName": key,
                    // Without the `v`, as the platform gives it.
                    "contentUrl": format!("services/data/{}/jobs/ingest/{}/batches",
                        self.version.trim_start_matches('v'), self.id),
                    "numberRecordsProcessed": self.successful.len().saturating_sub(1) + self.failed.len().saturating_sub(1),
                    "numberRecordsFailed": self.failed.len().saturating_sub(1),
                    "retries": 0,
                    "totalProcessingTime": 0,
                    "apiActiveProcessingTime": 0,
                    "apexProcessingTime": 0,
                }),
            ),
            Work::Query { all, .. } => (
                common(if *all { "queryAll" } else { "query" }, "V2Query", version),
                json!({
                    "numberRecordsProcessed": self.rows.len().saturating_sub(1),
                    "retries": 0,
                    "totalProcessingTime": 0,
                }),
            ),
        };
        if let (Value::Object(out), Value::Object(more)) = (&mut out, more) {
            out.extend(more.into_iter().filter(|(_, v)| !v.is_null()));
            if let Some(error) = &self.error {
                out.insert("errorMessage".to_owned(), json!(error));
            }
        }
        out
    }
}

const DELIMITERS: [(&str, u8); 6] = [
    ("COMMA", b','),
    ("SEMICOLON", b';'),
    ("TAB", b'\t'),
    ("PIPE", b'|'),
    ("CARET", b'^'),
    ("BACKQUOTE", b'`'),
];

/// A delimiter by its name.
pub(super) fn delimiter(name: &str) -> Option<u8> {
    DELIMITERS.iter().find(|(n, _)| *n == name).map(|(_, b)| *b)
}

fn delimiter_name(byte: u8) -> &'static str {
    DELIMITERS.iter().find(|(_, b)| *b == byte).map_or("COMMA", |(n, _)| n)
}

/// A job's write: assignment rules run only if the job names one.
pub(super) fn bulk_write(write: Write, assigns: bool) -> Write {
    Write { channel: Channel::Bulk, auto_assign: assigns, ..write }
}
