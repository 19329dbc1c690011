//! The web page: made on the server, readable without a script, live with one. Nothing is loaded from elsewhere. It only shows;
//! arming is done on the depot's own machine.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use data_encoding::BASE64;
use depot::store::Store;
use depot::view::{Machine, Phase, Rack};
use minijinja::{AutoEscape, Environment, Value, context, value::Serde};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{elevation, figures, words};

const STYLE: &str = include_str!("../templates/board.css");
const SCRIPT: &str = include_str!("../templates/board.js");
/// Changes that come faster are shown together.
const PAUSE: Duration = Duration::from_millis(500);

type Shared = State<Arc<Store>>;

/// All pages.
pub fn router(store: Arc<Store>) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/part", get(part))
        .route("/events", get(events))
        .route("/board.json", get(json))
        .route("/metrics", get(metrics))
        .route("/report/{node}/{name}", get(report))
        .with_state(store)
}

fn now_rack(store: &Store) -> Rack {
    store.rack(now())
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// What browsers may do with the page: our own style and script, and nothing else (CSP level 3).
fn policy() -> String {
    let sum = |text: &str| BASE64.encode(&Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sum(STYLE),
        sum(SCRIPT)
    )
}

fn html(result: Result<String, minijinja::Error>) -> Response {
    match result {
        Ok(text) => (
            [
                (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
                (header::CONTENT_SECURITY_POLICY, policy()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            ],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::warn!("the board cannot be drawn: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn whole(State(store): Shared) -> Response {
    html(render("board.html", &now_rack(&store)))
}

async fn part(State(store): Shared) -> Response {
    html(render("part.html", &now_rack(&store)))
}

async fn json(State(store): Shared) -> Json<Rack> {
    Json(now_rack(&store))
}

async fn metrics(State(store): Shared) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, figures::text(&now_rack(&store))).into_response()
}

async fn report(State(store): Shared, Path((node, name)): Path<(String, String)>) -> Response {
    match store.report(&node, &name) {
        Some(bytes) => {
            // Never as a page: a report repeats what a machine said.
            let kind = [
                (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (kind, bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// One line for each change: the page then fetches what it shows.
async fn events(
    State(store): Shared,
) -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    let changed = store.changed();
    let stream = futures_util::stream::unfold((changed, true), |(mut changed, first)| async move {
        if !first {
            changed.changed().await.ok()?;
            tokio::time::sleep(PAUSE).await;
        }
        let revision = *changed.borrow_and_update();
        Some((
            Ok(Event::default().data(revision.to_string())),
            (changed, false),
        ))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

#[derive(Serialize)]
struct Row<'rack> {
    #[serde(flatten)]
    machine: &'rack Machine,
    unit: String,
    state: &'static str,
    letter: String,
    percent: Option<u8>,
    heard: Option<String>,
}

impl<'rack> Row<'rack> {
    fn new(rack: &Rack, machine: &'rack Machine) -> Self {
        Self {
            unit: machine
                .place
                .as_ref()
                .map_or_else(String::new, |place| place.unit.to_string()),
            state: words::phase(machine.phase),
            letter: words::letter(machine.phase).to_string(),
            percent: machine.step.as_ref().map(|step| step.percent),
            // Minutes, so that a page that nothing happened to stays the same.
            heard: machine
                .heard
                .filter(|_| machine.phase == Phase::Installing)
                .map(|heard| words::ago(rack.now, heard)),
            machine,
        }
    }
}

#[derive(Serialize)]
struct Shown<'rack> {
    name: &'rack str,
    machines: Vec<Row<'rack>>,
}

/// `3 machines: 1 healthy, 2 new`.
#[must_use]
pub fn summary(rack: &Rack) -> String {
    let mut counts: Vec<(Phase, usize)> = Vec::new();
    for machine in &rack.machines {
        match counts.iter_mut().find(|(phase, _)| *phase == machine.phase) {
            Some((_, count)) => *count += 1,
            None => counts.push((machine.phase, 1)),
        }
    }
    counts.sort_by_key(|(phase, _)| std::cmp::Reverse(weight(*phase)));
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(phase, count)| format!("{count} {}", words::phase(phase)))
        .collect();
    format!("{} machines: {}", rack.machines.len(), parts.join(", "))
}

/// What people want to see first.
fn weight(phase: Phase) -> u8 {
    match phase {
        Phase::Failed => 6,
        Phase::Installing => 5,
        Phase::Installed => 4,
        Phase::Armed => 3,
        Phase::Healthy => 2,
        Phase::New => 1,
        Phase::Unknown => 0,
    }
}

/// Draws a page. `name`: of the template.
///
/// # Errors
/// A template is wrong, which the tests show.
pub fn render(name: &str, rack: &Rack) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("board.html", include_str!("../templates/board.html"))?;
    environment.add_template("part.html", include_str!("../templates/part.html"))?;
    let columns: Vec<Shown> = elevation::columns(rack)
        .into_iter()
        .map(|column| Shown {
            name: column.name,
            machines: column
                .machines
                .into_iter()
                .map(|(_, machine)| Row::new(rack, machine))
                .collect(),
        })
        .collect();
    let machines: Vec<Row> = rack
        .machines
        .iter()
        .map(|machine| Row::new(rack, machine))
        .collect();
    environment.get_template(name)?.render(context! {
        cluster => rack.cluster.as_str(),
        summary => summary(rack),
        strangers => Value::from(Serde(&rack.strangers)),
        columns => Value::from(Serde(&columns)),
        machines => Value::from(Serde(&machines)),
        style => STYLE,
        script => SCRIPT,
    })
}
