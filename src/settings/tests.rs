use super::*;
use secrecy::ExposeSecret;

fn sources(file: &str, environment: &[(&str, &str)]) -> Sources {
    let file =
        (!file.is_empty()).then(|| (PathBuf::from("/etc/lockstep/lockstep.toml"), file.into()));
    let environment =
        environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Sources { file, environment }
}

fn settings(file: &str, environment: &[(&str, &str)]) -> Settings {
    load(&sources(file, environment)).unwrap().settings
}

fn mistakes(file: &str, environment: &[(&str, &str)]) -> String {
    load(&sources(file, environment)).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_defaults_load_and_every_commented_setting_in_them_is_one() {
    let defaults = settings("", &[]);
    assert_eq!(defaults.polling.sweep, Duration::from_secs(24 * 60 * 60));
    assert_eq!(defaults.history.keep, Duration::from_secs(400 * 24 * 60 * 60));
    assert_eq!(defaults.http.listen, None);
    assert_eq!(defaults.directories.journal(), PathBuf::from("/var/lib/lockstep/journal"));

    let every: String = DEFAULTS
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => rest,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let all = load(&sources(&every, &[])).unwrap();
    assert_eq!(all.settings.http.listen, Some("127.0.0.1:8765".parse().unwrap()));
    assert!(all.entries.iter().all(|entry| matches!(entry.origin, Origin::File(_))));
    for key in ["hubspot.client_id", "salesforce.username", "salesforce.key_file"] {
        assert!(all.entries.iter().any(|entry| entry.key == key), "{key}");
    }
}

#[test]
fn a_file_without_settings_is_no_mistake() {
    for text in ["\n", "# nothing yet\n", "[polling]\n"] {
        assert_eq!(settings(text, &[]).settle.batch, settings("", &[]).settle.batch, "{text:?}");
    }
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_systemd() {
    let file = "[directories]\nstate = \"data\"\nmappings = \"/srv/m\"\n[settle]\nbatch = 50\n";
    let environment = [
        ("LOCKSTEP_SETTLE__BATCH", "20"),
        ("LOCKSTEP_MAPPINGS__RELOAD_ON_SAVE", "false"),
        ("LOCKSTEP_CONFIG", "/etc/lockstep/lockstep.toml"),
        ("STATE_DIRECTORY", "/var/lib/other"),
        ("RUNTIME_DIRECTORY", "/run/lockstep-a:/run/b"),
    ];
    let effective = load(&sources(file, &environment)).unwrap();
    let settings = &effective.settings;
    assert_eq!(settings.settle.batch, 20);
    assert!(!settings.mappings.reload_on_save);
    assert_eq!(settings.directories.state, PathBuf::from("/etc/lockstep/data"));
    assert_eq!(settings.directories.mappings, PathBuf::from("/srv/m"));
    assert_eq!(settings.directories.socket(), PathBuf::from("/run/lockstep-a/control.sock"));
    let origin = |key: &str| {
        let entry = effective.entries.iter().find(|entry| entry.key == key).unwrap();
        entry.origin.to_string()
    };
    assert_eq!(origin("settle.batch"), "LOCKSTEP_SETTLE__BATCH");
    assert_eq!(origin("directories.state"), "/etc/lockstep/lockstep.toml");
    assert_eq!(origin("directories.runtime"), "systemd ($RUNTIME_DIRECTORY)");
    assert_eq!(origin("polling.sweep"), "default");
}

#[test]
fn all_mistakes_are_told_at_once_with_their_place_and_a_way_out() {
    let file = r#"
        [poling]
        [polling]
        sweep = "1 fortnight"
        interval = "5s"
        deletes = 30
        [hubspot]
        token = "pat-na1-secret"
        auth = "tokens"
        base_url = "http://api.hubapi.com"
        [settle]
        batch = 500
        window = "0s"
        [http]
        listen = "0.0.0.0"
        name = "https://lockstep.example.com"
        [limits]
        share = 25
        deletes = "many"
    "#;
    let environment = [("LOCKSTEP_SETTLE__BATH", "5"), ("LOCKSTEP_SALESFORCE__CONCURRENCY", "0")];
    let text = mistakes(file, &environment);
    assert!(!text.contains("pat-na1"), "{text}");
    insta::assert_snapshot!(text, @r#"
    15 mistakes in the settings
      /etc/lockstep/lockstep.toml: hubspot.token: a secret does not stand in this file; put it into a file of its own, set hubspot.token_file to its path, and give out a new one if others could read this one
      /etc/lockstep/lockstep.toml: poling: there is no such setting; did you mean polling?
      /etc/lockstep/lockstep.toml: polling.interval: there is no such setting; [polling] has hubspot, salesforce, while_pushed, deletes, hubspot_overlap, salesforce_overlap, sweep
      /etc/lockstep/lockstep.toml: hubspot.base_url: "http://api.hubapi.com" would send tokens in the clear; write https://
      /etc/lockstep/lockstep.toml: hubspot.auth: "tokens" is none of token, oauth; did you mean "token"?
      /etc/lockstep/lockstep.toml: polling.deletes: 30 has no unit; write 30s, 30m or 30h
      /etc/lockstep/lockstep.toml: polling.sweep: "1 fortnight" is not a time such as 500ms, 30s, 5m, 2h or 7d
      /etc/lockstep/lockstep.toml: settle.batch: 500 is not between 1 and 200: Salesforce takes 200 records in a call
      /etc/lockstep/lockstep.toml: settle.window: "0s" is no time at all; write 1s or more
      /etc/lockstep/lockstep.toml: limits.share: 25 is not a share; write 0.25 for a quarter
      /etc/lockstep/lockstep.toml: limits.deletes: string "many" is not an integer
      /etc/lockstep/lockstep.toml: http.listen: "0.0.0.0" is not an address with a port; write 127.0.0.1:8765
      /etc/lockstep/lockstep.toml: http.name: "https://lockstep.example.com" is not a host's name; write it without scheme and port, such as lockstep.example.com
      LOCKSTEP_SETTLE__BATH: settle.bath: there is no such setting; did you mean LOCKSTEP_SETTLE__BATCH?
      LOCKSTEP_SALESFORCE__CONCURRENCY: salesforce.concurrency: 0 would stop all work; write 1 or more
    "#);
}

#[test]
fn a_file_that_is_not_toml_names_the_line() {
    let text = mistakes("[settle]\nbatch = \n", &[]);
    assert!(text.starts_with("/etc/lockstep/lockstep.toml is not TOML: "), "{text}");
    assert!(text.contains("line 2"), "{text}");
}

#[test]
fn times_have_units() {
    for (text, seconds) in [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("1h 30m", 5400.0),
        ("2d", 172_800.0),
    ] {
        let file = format!("[settle]\nwindow = {text:?}");
        assert!(
            (settings(&file, &[]).settle.window.as_secs_f64() - seconds).abs() < 1e-9,
            "{text}"
        );
    }
    for text in ["30", "soon", "-5s", "0s", "", "d"] {
        let file = format!("[settle]\nwindow = {text:?}");
        assert!(mistakes(&file, &[]).contains("settle.window"), "{text}");
    }
}

#[test]
fn addresses_keep_tokens_off_the_wire() {
    for (url, right) in [
        ("https://acme.my.salesforce.com", true),
        ("http://127.0.0.1:4000", true),
        ("http://localhost:4000", true),
        ("http://[::1]:4000", true),
        ("http://10.0.0.1", false),
        ("ftp://acme.example", false),
        ("https://user:word@acme.example", false),
        ("acme.my.salesforce.com", false),
    ] {
        let file = format!("[salesforce]\nlogin_url = {url:?}");
        assert_eq!(load(&sources(&file, &[])).is_ok(), right, "{url}");
    }
}

#[test]
fn a_secret_is_read_from_the_first_place_that_has_it_and_never_printed() {
    let folder = std::env::temp_dir().join(format!("lockstep-secrets-{}", std::process::id()));
    write_private(&folder.join("token"), "from-file\n").unwrap();
    write_private(&folder.join("hubspot_token"), "from-credential").unwrap();
    write_private(&folder.join("empty"), "\n").unwrap();
    let file = format!("[hubspot]\ntoken_file = \"{}/token\"", folder.display());
    let credentials = ("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    let variable = ("LOCKSTEP_HUBSPOT__TOKEN", "from-environment");

    for (file, environment, expected) in [
        (file.as_str(), vec![credentials, variable], "from-environment"),
        (file.as_str(), vec![credentials], "from-file"),
        ("", vec![credentials], "from-credential"),
    ] {
        let effective = load(&sources(file, &environment)).unwrap();
        let secret = effective.secret("hubspot_token").unwrap();
        assert_eq!(secret.read().unwrap().expose_secret(), expected);
        let shown = format!("{effective:?} {:?} {:?}", effective.entries, secret.whence());
        assert!(!shown.contains("from-environment"), "{shown}");
    }

    let none = load(&sources("", &[])).unwrap();
    insta::assert_snapshot!(none.secret("hubspot_token").unwrap().read().unwrap_err(), @"no hubspot_token: set hubspot.token_file in the settings, LOCKSTEP_HUBSPOT__TOKEN in the environment, or give the service the credential hubspot_token (systemd: LoadCredential=hubspot_token:/path)");

    let empty = format!("[hubspot]\ntoken_file = \"{}/empty\"", folder.display());
    let empty = load(&sources(&empty, &[])).unwrap();
    let error = empty.secret("hubspot_token").unwrap().read().unwrap_err().to_string();
    assert!(error.ends_with("it is empty"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_private_file_is_its_owners_alone_and_is_replaced_whole() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("lockstep-private-{}", std::process::id()));
    let path = folder.join("a.refresh-token");
    for text in ["first, and longer", "second"] {
        write_private(&path, text).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn change_events_go_to_salesforce_or_to_where_the_settings_say() {
    let official = Some("https://api.pubsub.salesforce.com:7443/");
    for (file, wanted) in [
        ("", official),
        ("login_url = \"https://acme.my.salesforce.com\"", official),
        ("login_url = \"http://127.0.0.1:9\"", None),
        ("login_url = \"https://salesforce.com.evil.example\"", None),
        ("events = \"off\"", None),
        (
            "login_url = \"http://127.0.0.1:9\"\nevents_url = \"http://127.0.0.1:7443\"",
            Some("http://127.0.0.1:7443/"),
        ),
        ("events = \"off\"\nevents_url = \"http://127.0.0.1:7443\"", None),
    ] {
        let settings = settings(&format!("[salesforce]\n{file}\n"), &[]);
        let address = settings.salesforce.events_address();
        assert_eq!(address.as_ref().map(Url::as_str), wanted, "{file}");
    }
    let told = mistakes("[salesforce]\nevents = \"LeadChangeEvent\"\n", &[]);
    assert!(told.contains("/data/ChangeEvents"), "{told}");
}
