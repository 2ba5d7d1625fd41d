//! The control socket: one JSON line asked, one JSON line answered.
//!
//! The commands of `lockstep` talk to the running daemon here, because one process at a time can
//! have the journal open. Where no daemon runs they open the journal themselves, and the same
//! functions answer.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::record::{LinkId, Side};

/// The version of the lines. A daemon and a command of different versions say so instead of
/// misunderstanding each other.
pub const VERSION: u32 = 1;

/// The longest line that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How the service is doing, in full.
    Status,
    /// Whether it is well.
    Health,
    /// What is known of one link and why its fields have their values. `of` names it in any of the
    /// ways that [`Request::FindLinks`] takes.
    Explain {
        /// The link.
        of: String,
    },
    /// Lines of history, the newest first.
    History {
        /// The link.
        of: String,
        /// At most so many lines.
        limit: usize,
        /// Lines before the one with this number.
        before: Option<u64>,
    },
    /// Links by number (`L12`), record id, address of a record's page, or matching key.
    FindLinks {
        /// What was pasted.
        what: String,
    },
    /// Links two records.
    AddLink {
        /// The mapping's name.
        mapping: String,
        /// HubSpot's record id.
        hubspot: String,
        /// Salesforce's record id.
        salesforce: String,
    },
    /// Ends a link; both records stay.
    RemoveLink {
        /// The link.
        link: LinkId,
        /// Why, in the person's words, for history.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Open conflicts and ambiguous matches.
    Conflicts {
        /// Of this mapping only.
        mapping: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Decides a conflict.
    Resolve {
        /// The link.
        link: LinkId,
        /// The field's canonical name.
        field: String,
        /// What is to hold.
        take: Take,
    },
    /// Decides an ambiguous match.
    ChooseMatch {
        /// The record that may belong to several.
        record: String,
        /// The record that it belongs to, or none of them.
        to: Option<String>,
    },
    /// Refused writes.
    Rejects {
        /// Of this mapping only.
        mapping: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Tries refused writes again.
    RetryRejects {
        /// Those of this link or record; all where nothing is named.
        of: Option<String>,
    },
    /// Forgets refused writes of a link or record.
    DropRejects {
        /// The link or record.
        of: String,
    },
    /// Handoffs, the latest first.
    Handoffs {
        /// Those of this record only, with their course.
        of: Option<String>,
    },
    /// What the task of a record's handoff says or would say.
    HandoffPreview {
        /// The record.
        of: String,
    },
    /// The report on handoffs.
    Report {
        /// What it is to be about.
        of: super::query::ReportOf,
    },
    /// The report with what does not move, as the page for leaders shows it.
    Leaders {
        /// What it is to be about.
        of: super::query::ReportOf,
    },
    /// Plans that a safety limit stopped.
    Holds,
    /// Lets them pass.
    ReleaseHold {
        /// The hold's number.
        hold: u64,
    },
    /// What settling would do now, without doing it.
    Plan {
        /// Show at most so many changes.
        limit: usize,
    },
    /// Asks both sides for changes now, and settles what is due.
    Sync,
    /// Reads the mapping files again.
    Reload,
}

/// What a person decides about a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// This side's value.
    Side(Side),
    /// Another value, as the canonical domain spells it.
    Value(String),
}

/// Why something that was asked is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What kind of no it is.
    pub kind: RefusedKind,
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Kinds of no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedKind {
    /// What was asked for does not exist.
    NotFound,
    /// What was asked makes no sense.
    Usage,
    /// A platform refused or cannot be reached.
    Platform,
    /// The journal cannot be used.
    Journal,
    /// A mistake of the program.
    Internal,
}

impl Refused {
    /// A no without a hint.
    pub fn new(kind: RefusedKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Answers what is asked.
#[async_trait]
pub trait Answerer: Send + Sync {
    /// The answer, in the shape that [`super::query`] documents for each request.
    async fn answer(&self, request: Request) -> Result<Json, Refused>;
}

#[derive(Serialize, Deserialize)]
struct Asked {
    v: u32,
    #[serde(flatten)]
    request: Json,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    v: u32,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok(Json),
    Refused(Refused),
}

/// Listens on `path`. A socket that an earlier process left behind is replaced; one that answers is
/// another daemon's.
///
/// # Errors
/// Where another daemon listens there, or the directory cannot be written.
pub async fn listen(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match UnixStream::connect(path).await {
        Ok(_) => {
            return Err(std::io::Error::new(
                std::io::ErrorKind::AddrInUse,
                "another daemon answers on this socket",
            ));
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)?;
        }
        // Not there, which is as it should be; anything else shows when it is bound.
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    // The service's own group may ask; nobody else.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Answers on `listener` until `stop` holds true.
pub async fn serve(
    listener: UnixListener,
    answerer: Arc<dyn Answerer>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let answerer = Arc::clone(&answerer);
                    tokio::spawn(async move {
                        // Whoever asked has gone: nobody is left to tell.
                        let _ = converse(stream, &*answerer).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot accept");
                    // Out of file descriptors: they come free, and a tight loop would not help.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

/// Ends when `stop` holds true, or nobody can set it any more.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn converse(stream: UnixStream, answerer: &dyn Answerer) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(LONGEST));
    let asked = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await;
    if !matches!(asked, Ok(Ok(length)) if length > 0) {
        return Ok(());
    }
    let outcome = match understand(&line) {
        Ok(request) => answerer.answer(request).await,
        Err(refused) => Err(refused),
    };
    let outcome = match outcome {
        Ok(answer) => Outcome::Ok(answer),
        Err(refused) => Outcome::Refused(refused),
    };
    let mut text = serde_json::to_string(&Answered { v: VERSION, outcome })?;
    text.push('\n');
    write.write_all(text.as_bytes()).await?;
    write.shutdown().await
}

fn understand(line: &str) -> Result<Request, Refused> {
    let not_understood = |error: serde_json::Error| {
        Refused::new(RefusedKind::Usage, format!("the daemon does not understand this: {error}"))
    };
    let asked: Asked = serde_json::from_str(line).map_err(not_understood)?;
    if asked.v != VERSION {
        return Err(Refused::new(
            RefusedKind::Usage,
            format!(
                "the daemon speaks version {VERSION} of its socket's language, not {}",
                asked.v
            ),
        )
        .hint("use the `lockstep` that the daemon runs, or restart the daemon"));
    }
    serde_json::from_value(asked.request).map_err(not_understood)
}

/// Why the daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No daemon runs.
    #[error("no daemon answers on {0}")]
    NotRunning(PathBuf),
    /// The socket cannot be used.
    #[error("cannot use the control socket {path}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The answer is none.
    #[error("the daemon's answer makes no sense: {0}")]
    Broken(String),
    /// The daemon said no.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Asks the daemon that listens on `path`.
///
/// # Errors
/// Where no daemon runs there, or it says no.
pub async fn ask(path: &Path, request: &Request) -> Result<Json, AskError> {
    let socket = |source| AskError::Socket { path: path.to_path_buf(), source };
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) => {
            use std::io::ErrorKind::{ConnectionRefused, NotFound};
            return Err(match error.kind() {
                NotFound | ConnectionRefused => AskError::NotRunning(path.to_path_buf()),
                _ => socket(error),
            });
        }
    };
    let broken = |error: serde_json::Error| AskError::Broken(error.to_string());
    let request = serde_json::to_value(request).map_err(broken)?;
    let mut line = serde_json::to_string(&Asked { v: VERSION, request }).map_err(broken)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await.map_err(socket)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut answer).await.map_err(socket)?;
    if answer.is_empty() {
        return Err(AskError::Broken("it ended without an answer".to_owned()));
    }
    let answered: Answered = serde_json::from_str(&answer).map_err(broken)?;
    match answered.outcome {
        Outcome::Ok(answer) => Ok(answer),
        Outcome::Refused(refused) => Err(refused.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Echo;

    #[async_trait]
    impl Answerer for Echo {
        async fn answer(&self, request: Request) -> Result<Json, Refused> {
            match request {
                Request::Health => Err(Refused::new(RefusedKind::Journal, "no").hint("wait")),
                other => Ok(serde_json::to_value(other).unwrap()),
            }
        }
    }

    fn every() -> Vec<Request> {
        let of = || "L12".to_owned();
        vec![
            Request::Status,
            Request::Explain { of: of() },
            Request::History { of: of(), limit: 3, before: Some(7) },
            Request::FindLinks { what: "ann@example.com".into() },
            Request::AddLink {
                mapping: "people".into(),
                hubspot: "1".into(),
                salesforce: "2".into(),
            },
            Request::RemoveLink { link: LinkId(12), reason: None },
            Request::RemoveLink { link: LinkId(12), reason: Some("two people".into()) },
            Request::Conflicts { mapping: None, limit: 10 },
            Request::Resolve {
                link: LinkId(1),
                field: "phone".into(),
                take: Take::Side(Side::HubSpot),
            },
            Request::Resolve {
                link: LinkId(1),
                field: "score".into(),
                take: Take::Value("5".into()),
            },
            Request::ChooseMatch { record: "1".into(), to: None },
            Request::Rejects { mapping: Some("deals".into()), limit: 1 },
            Request::RetryRejects { of: None },
            Request::DropRejects { of: of() },
            Request::Holds,
            Request::ReleaseHold { hold: 4 },
            Request::Plan { limit: 5 },
            Request::Sync,
            Request::Reload,
        ]
    }

    #[tokio::test]
    async fn what_is_asked_arrives_and_what_is_answered_comes_back() {
        let folder = std::env::temp_dir().join(format!("lockstep-control-{}", std::process::id()));
        let path = folder.join("control.sock");
        assert!(matches!(ask(&path, &Request::Status).await, Err(AskError::NotRunning(_))));
        let (stop, stopping) = watch::channel(false);
        let listener = listen(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let serving = tokio::spawn(serve(listener, Arc::new(Echo), stopping));
        for request in every() {
            let answer = ask(&path, &request).await.unwrap();
            assert_eq!(serde_json::from_value::<Request>(answer).unwrap(), request);
        }
        let refused = ask(&path, &Request::Health).await.unwrap_err();
        assert!(matches!(refused, AskError::Refused(Refused { kind: RefusedKind::Journal, .. })));
        assert!(listen(&path).await.is_err(), "a second daemon takes the socket away");
        stop.send_replace(true);
        serving.await.unwrap();
        // What is left behind is no daemon, and is replaced.
        assert!(matches!(ask(&path, &Request::Status).await, Err(AskError::NotRunning(_))));
        drop(listen(&path).await.unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn lines_that_are_no_requests_are_told_why() {
        for (line, says) in [
            ("", "does not understand"),
            ("{}", "does not understand"),
            (r#"{"v":1,"ask":"dance"}"#, "unknown variant `dance`"),
            (r#"{"v":1,"ask":"explain"}"#, "missing field `of`"),
            (r#"{"v":2,"ask":"status"}"#, "version 1"),
        ] {
            let refused = understand(line).unwrap_err();
            assert!(refused.message.contains(says), "{line}: {refused}");
        }
        assert_eq!(understand(r#"{"v":1,"ask":"status"}"#), Ok(Request::Status));
        let resolve = json!({ "v": 1, "ask": "resolve", "link": 3, "field": "x", "take": { "side": "hubspot" } });
        assert!(understand(&resolve.to_string()).is_ok());
    }
}
