//! `%class`: the results of a class in a shared folder.

mod view;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use graft_protocol::Event;
use graft_spec::{
    Failure, Settings,
    training::{CLASS_JOIN, CLASS_VIEW},
};

use crate::{
    CommandContext, SessionError,
    class::{
        CLASS_VARIABLE, Kind, Pseudonyms, Record, Roster, check_exercise, check_name, file_name,
        membership, read_roster,
    },
    verbs::runs,
};
pub use view::ClassPicture;

/// Time between two looks at the folder.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks at the stop button.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Joins a class: from now on, the results of this session are written to the shared folder.
///
/// # Errors
/// [`SessionError::ClassName`], [`SessionError::NoClassFolder`], [`SessionError::ClassFolder`] for
/// a folder that is given and cannot be used, [`SessionError::ClassNameTaken`].
pub fn join(
    cx: &CommandContext,
    name: Option<&str>,
    settings: &Settings,
) -> Result<String, Failure> {
    settings.check(CLASS_JOIN)?;
    let name = match name {
        Some(name) => name.trim().to_owned(),
        None => login_name().ok_or(SessionError::ClassName {
            what: "name",
            name: String::new(),
            problem: "the login name is unknown",
        })?,
    };
    check_name(&name)?;
    let exercise = settings.text(CLASS_JOIN, "exercise").unwrap_or_default();
    if !exercise.is_empty() {
        check_exercise(&exercise)?;
    }
    let given = settings.text(CLASS_JOIN, "folder");
    let folder = folder_of(given.as_deref()).ok_or(SessionError::NoClassFolder)?;
    if given.is_some() {
        // The administrator's folder may be away for a while; one that the user types may be wrong.
        check_folder(&folder)?;
    }
    refuse_taken(&folder, &name)?;
    let class = membership(name, folder, exercise);
    let joined = format!(
        "joined as `{}`{}: results are written to {}; `%class` shows everyone's, `%class leave` \
         stops",
        class.name,
        if class.exercise.is_empty() {
            String::new()
        } else {
            format!(", exercise `{}`", class.exercise)
        },
        class.folder.join(file_name(&class.name)).display()
    );
    class.send(cx, &Record { kind: Kind::Joined, ..Record::now(&class.exercise) });
    cx.change(|state| state.class = Some(class.clone()));
    Ok(joined)
}

/// Leaves the class. The file with the results remains.
///
/// # Errors
/// [`SessionError::NoClass`].
pub fn leave(cx: &CommandContext) -> Result<String, Failure> {
    let class = cx.state().class.clone().ok_or(SessionError::NoClass)?;
    cx.change(|state| state.class = None);
    let file = class.folder.join(file_name(&class.name));
    Ok(format!("left the class; the results so far remain in {}", file.display()))
}

/// Everyone's results, once.
///
/// # Errors
/// [`SessionError::NoClassFolder`], [`SessionError::ClassFolder`], [`SessionError::Interrupted`].
pub fn show(cx: &CommandContext, settings: &Settings) -> Result<ClassPicture, Failure> {
    settings.check(CLASS_VIEW)?;
    let folder = folder(cx, settings)?;
    let roster =
        read_roster(&folder, &cx.stop_flag()).map_err(|error| unreadable(&folder, &error))?;
    Ok(picture(cx, settings, roster))
}

/// Everyone's results, updated until the user stops it. A folder that vanishes meanwhile is
/// reported below the last table.
///
/// # Errors
/// As [`show`], for the first look.
pub fn watch(cx: &CommandContext, settings: &Settings) -> Result<ClassPicture, Failure> {
    let folder = folder(cx, settings)?;
    let mut last = show(cx, settings)?;
    while !cx.is_stopping() {
        let label = format!("watching {}; the stop button ends it", folder.display());
        cx.emit(Event::Progress { label, done: 0, total: 0 });
        cx.emit(Event::LiveTable(last.clone().reply().blocks));
        for _ in 0..REFRESH_INTERVAL.as_millis() / POLL_INTERVAL.as_millis() {
            if !cx.is_stopping() {
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        match read_roster(&folder, &cx.stop_flag()) {
            Ok(roster) => last = picture(cx, settings, roster),
            Err(_) if cx.is_stopping() => {}
            Err(error) => last.set_problem(&format!(
                "the class folder cannot be reached now ({error}); this is its last state"
            )),
        }
    }
    Ok(last)
}

fn picture(cx: &CommandContext, settings: &Settings, roster: Roster) -> ClassPicture {
    let own = cx.state().class.as_ref().map(|class| class.exercise.clone());
    let exercise = settings
        .text(CLASS_VIEW, "exercise")
        .or(own.filter(|exercise| !exercise.is_empty()))
        .or_else(|| roster.exercises().into_iter().next())
        .unwrap_or_default();
    let pseudonyms = (!settings.bool(CLASS_VIEW, "names"))
        .then(|| Pseudonyms::of_machine(&runs::base()).of(roster.students.keys()));
    ClassPicture::of(&roster, &exercise, pseudonyms.as_ref())
}

/// The folder to show.
fn folder(cx: &CommandContext, settings: &Settings) -> Result<PathBuf, SessionError> {
    let joined = || cx.state().class.as_ref().map(|class| class.folder.clone());
    match settings.text(CLASS_VIEW, "folder") {
        Some(given) => folder_of(Some(&given)),
        None => joined().or_else(|| folder_of(None)),
    }
    .ok_or(SessionError::NoClassFolder)
}

/// The given folder, or that of the environment, as an absolute path: `%cd` must not move it.
fn folder_of(given: Option<&str>) -> Option<PathBuf> {
    let text = match given {
        Some(given) => given.to_owned(),
        None => std::env::var(CLASS_VARIABLE).ok().filter(|text| !text.is_empty())?,
    };
    let path = match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    };
    std::path::absolute(&path).ok().or(Some(path))
}

fn check_folder(folder: &Path) -> Result<(), SessionError> {
    let problem = match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "it is not a folder".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(SessionError::ClassFolder { folder: folder.display().to_string(), problem })
}

/// Refuses a name whose file belongs to another user of the machine.
fn refuse_taken(folder: &Path, name: &str) -> Result<(), SessionError> {
    match crate::class::owner_of(folder, name) {
        Some(owner) if !crate::class::is_own(owner) => Err(SessionError::ClassNameTaken {
            name: name.to_owned(),
            file: folder.join(file_name(name)).display().to_string(),
        }),
        _ => Ok(()),
    }
}

fn unreadable(folder: &Path, error: &io::Error) -> SessionError {
    if error.kind() == io::ErrorKind::Interrupted {
        let what = "stopped reading the class folder".to_owned();
        return SessionError::Interrupted { what, next: None };
    }
    SessionError::ClassFolder { folder: folder.display().to_string(), problem: error.to_string() }
}

/// The name of the user on a hub or on this machine.
fn login_name() -> Option<String> {
    ["JUPYTERHUB_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()))
}
