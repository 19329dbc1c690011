//! The one keymap: which key means what on which screen. The line of keys, the help and the update read the same tables.

use crate::{
    key::Key,
    state::{Popup, Screen, Task, Wizard},
    text,
};

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keys of the screen.
    Help,
    /// Back, or close.
    Back,
    /// A root shell.
    Shell,
    /// Write everything again.
    Redraw,
    /// Leave the program.
    Leave,
    /// Save the recording.
    Record,
    /// Take the keyboard from another console.
    TakeKeyboard,
    /// Next step of the wizard.
    Next,
    /// The step with this number.
    Goto(usize),
    /// Columns and rows.
    Move(isize, isize),
    /// So many lines.
    Page(isize),
    /// First line.
    First,
    /// Last line.
    Last,
    /// Do what is marked.
    Choose,
    /// Set a finding aside.
    Waive,
    /// Look again.
    Again,
    /// Use of a disk.
    Use,
    /// Layout of the data group.
    Layout,
    /// Switch a light.
    Blink,
    /// The other view.
    View,
    /// What is guarded.
    Guards,
    /// Empty a field.
    Empty,
    /// Save.
    Save,
    /// Show every command.
    DryRun,
    /// Back to the plan.
    Plan,
    /// Save what an engineer needs.
    Bundle,
    /// Restart.
    Restart,
    /// Last lines of the log.
    Log,
}

/// One key of one screen.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Keys that mean it; the first is shown.
    pub keys: &'static [Key],
    /// What it means.
    pub action: Action,
    /// For people.
    pub label: &'static str,
    /// Shown in the line of keys, not only in the help.
    pub shown: bool,
}

const fn shown(keys: &'static [Key], action: Action, label: &'static str) -> Binding {
    Binding {
        keys,
        action,
        label,
        shown: true,
    }
}

const fn hidden(keys: &'static [Key], action: Action, label: &'static str) -> Binding {
    Binding {
        keys,
        action,
        label,
        shown: false,
    }
}

/// Keys that mean the same on every screen.
const EVERYWHERE: [Binding; 8] = [
    shown(&[Key::Char('?'), Key::F(1)], Action::Help, text::KEY_HELP),
    shown(&[Key::Esc], Action::Back, text::KEY_BACK),
    hidden(
        &[Key::F(12), Key::Char('!')],
        Action::Shell,
        text::KEY_SHELL,
    ),
    hidden(&[Key::Control('l')], Action::Redraw, text::KEY_REDRAW),
    hidden(&[Key::Control('r')], Action::Record, text::KEY_RECORD),
    hidden(
        &[Key::Control('t'), Key::F(2)],
        Action::TakeKeyboard,
        text::KEY_KEYBOARD,
    ),
    hidden(
        &[Key::Control('c'), Key::Char('q')],
        Action::Leave,
        text::KEY_LEAVE,
    ),
    hidden(&[Key::Char(' ')], Action::Choose, text::KEY_CHOOSE),
];

const MOVES: [Binding; 6] = [
    hidden(
        &[Key::Up, Key::Char('k')],
        Action::Move(0, -1),
        text::KEY_UP,
    ),
    hidden(
        &[Key::Down, Key::Char('j')],
        Action::Move(0, 1),
        text::KEY_DOWN,
    ),
    hidden(&[Key::PageUp], Action::Page(-10), text::KEY_PAGE_UP),
    hidden(&[Key::PageDown], Action::Page(10), text::KEY_PAGE_DOWN),
    hidden(&[Key::Home], Action::First, text::KEY_FIRST),
    hidden(&[Key::End], Action::Last, text::KEY_LAST),
];

const NEXT: Binding = shown(&[Key::Char('n'), Key::Tab], Action::Next, text::KEY_NEXT);
const STEPS: [Binding; 7] = [
    hidden(&[Key::Char('1')], Action::Goto(0), text::KEY_STEP),
    hidden(&[Key::Char('2')], Action::Goto(1), text::KEY_STEP),
    hidden(&[Key::Char('3')], Action::Goto(2), text::KEY_STEP),
    hidden(&[Key::Char('4')], Action::Goto(3), text::KEY_STEP),
    hidden(&[Key::Char('5')], Action::Goto(4), text::KEY_STEP),
    hidden(&[Key::Char('6')], Action::Goto(5), text::KEY_STEP),
    hidden(&[Key::Char('7')], Action::Goto(6), text::KEY_STEP),
];

const WELCOME: [Binding; 2] = [
    shown(&[Key::Enter], Action::Choose, text::KEY_CHOOSE),
    hidden(&[Key::Char('r')], Action::Again, text::KEY_RESCAN),
];
const HARDWARE: [Binding; 3] = [
    shown(&[Key::Enter], Action::Choose, text::KEY_DETAIL),
    shown(&[Key::Char('w')], Action::Waive, text::KEY_WAIVE),
    shown(&[Key::Char('r')], Action::Again, text::KEY_RESCAN),
];
const REPAIR: [Binding; 4] = [
    shown(&[Key::Enter], Action::Choose, text::KEY_SHOW_PLAN),
    shown(&[Key::Char('b')], Action::Blink, text::KEY_BLINK),
    shown(&[Key::Char('r')], Action::Again, text::KEY_RESCAN),
    hidden(&[Key::Char('g')], Action::Guards, text::KEY_GUARDS),
];
const DISKS: [Binding; 10] = [
    shown(&[Key::Enter, Key::Char('u')], Action::Use, text::KEY_USE),
    shown(&[Key::Char('l')], Action::Layout, text::KEY_LAYOUT),
    shown(&[Key::Char('b')], Action::Blink, text::KEY_BLINK),
    shown(&[Key::Char('t')], Action::View, text::KEY_TABLE),
    shown(&[Key::Char('d')], Action::Log, text::KEY_WHAT_LIES),
    hidden(&[Key::Char('g')], Action::Guards, text::KEY_GUARDS),
    hidden(&[Key::Char('x')], Action::Empty, text::KEY_ROLE_DISKS),
    hidden(&[Key::Char('r')], Action::Again, text::KEY_RESCAN),
    hidden(
        &[Key::Left, Key::Char('h')],
        Action::Move(-1, 0),
        text::KEY_LEFT,
    ),
    hidden(&[Key::Right], Action::Move(1, 0), text::KEY_RIGHT),
];
const NETWORK: [Binding; 4] = [
    shown(&[Key::Enter], Action::Choose, text::KEY_EDIT),
    shown(&[Key::Char('p')], Action::Again, text::KEY_PREFLIGHT),
    shown(&[Key::Char('b')], Action::Blink, text::KEY_BLINK_PORT),
    hidden(
        &[Key::Delete, Key::Char('x')],
        Action::Empty,
        text::KEY_EMPTY,
    ),
];
const BMC: [Binding; 3] = [
    shown(&[Key::Enter], Action::Choose, text::KEY_EDIT),
    shown(&[Key::Char('t')], Action::Again, text::KEY_TEST),
    hidden(
        &[Key::Delete, Key::Char('x')],
        Action::Empty,
        text::KEY_EMPTY,
    ),
];
const CLUSTER: [Binding; 3] = [
    shown(&[Key::Enter], Action::Choose, text::KEY_EDIT),
    shown(&[Key::Char('p')], Action::Again, text::KEY_ASK_PEERS),
    shown(
        &[Key::Delete, Key::Char('x')],
        Action::Empty,
        text::KEY_REMOVE,
    ),
];
const REVIEW: [Binding; 3] = [
    shown(
        &[Key::Enter, Key::Char('i')],
        Action::Choose,
        text::KEY_INSTALL,
    ),
    shown(&[Key::Char('d')], Action::DryRun, text::KEY_DRY_RUN),
    shown(&[Key::Char('w')], Action::Save, text::KEY_SAVE),
];
const PROGRESS: [Binding; 5] = [
    shown(&[Key::Char('l')], Action::View, text::KEY_LOG),
    shown(&[Key::Char('r')], Action::Again, text::KEY_RETRY),
    shown(&[Key::Char('p')], Action::Plan, text::KEY_PLAN),
    shown(&[Key::Char('b')], Action::Bundle, text::KEY_BUNDLE),
    hidden(&[Key::Enter], Action::Choose, text::KEY_DETAIL),
];
const DONE: [Binding; 3] = [
    shown(&[Key::Enter], Action::Restart, text::KEY_RESTART),
    shown(&[Key::Char('w')], Action::Save, text::KEY_SAVE),
    shown(&[Key::Char('l')], Action::Log, text::KEY_LOG),
];
const CONSOLE: [Binding; 5] = [
    shown(&[Key::Char('l')], Action::Log, text::KEY_JOURNAL),
    shown(&[Key::Char('b')], Action::Blink, text::KEY_BLINK),
    shown(&[Key::Char('r')], Action::Again, text::KEY_REFRESH),
    shown(&[Key::Char('R')], Action::Restart, text::KEY_RESTART),
    shown(&[Key::Enter], Action::Shell, text::KEY_LOGIN),
];

/// Keys of the screen itself, in the order in which they are shown.
#[must_use]
pub fn own(screen: Screen) -> &'static [Binding] {
    match screen {
        Screen::Welcome => &WELCOME,
        Screen::Hardware => &HARDWARE,
        Screen::Repair => &REPAIR,
        Screen::Disks => &DISKS,
        Screen::Network => &NETWORK,
        Screen::Bmc => &BMC,
        Screen::Cluster => &CLUSTER,
        Screen::Review => &REVIEW,
        Screen::Progress => &PROGRESS,
        Screen::Done => &DONE,
        Screen::Console => &CONSOLE,
    }
}

/// All keys of a screen; its own go before the others.
pub fn bindings(screen: Screen) -> impl Iterator<Item = &'static Binding> {
    let step = Screen::STEPS.contains(&screen);
    let next = step && screen != Screen::Review && screen != Screen::Welcome;
    own(screen)
        .iter()
        .chain(next.then_some(&NEXT))
        .chain(MOVES.iter())
        .chain(step.then_some(&STEPS).into_iter().flatten())
        .chain(EVERYWHERE.iter())
}

/// What a key means on a screen that nothing lies over.
#[must_use]
pub fn meaning(screen: Screen, key: Key) -> Option<Action> {
    bindings(screen)
        .find(|binding| binding.keys.contains(&key))
        .map(|binding| binding.action)
}

/// The line of keys.
#[must_use]
pub fn hints(wizard: &Wizard) -> Vec<(String, &'static str)> {
    match &wizard.popup {
        None => bindings(wizard.screen)
            .filter(|binding| binding.shown && useful(wizard, binding.action))
            .filter_map(|binding| Some((binding.keys.first()?.name(), binding.label)))
            .collect(),
        Some(Popup::Edit { .. } | Popup::Confirm { .. }) => [
            (Key::Enter, text::KEY_TAKE),
            (Key::Esc, text::KEY_BACK),
            (Key::Control('u'), text::KEY_EMPTY),
        ]
        .map(|(key, label)| (key.name(), label))
        .into(),
        Some(Popup::Menu { .. }) => vec![
            ("Up Down".to_owned(), text::KEY_MARK),
            (Key::Enter.name(), text::KEY_TAKE),
            (Key::Esc.name(), text::KEY_BACK),
        ],
        Some(Popup::Help { .. } | Popup::Text { .. }) => vec![
            ("Up Down".to_owned(), text::KEY_READ),
            (Key::Esc.name(), text::KEY_CLOSE),
        ],
        Some(Popup::Code { .. }) => vec![(Key::Esc.name(), text::KEY_CLOSE)],
    }
}

/// Does something now.
fn useful(wizard: &Wizard, action: Action) -> bool {
    match (wizard.screen, action) {
        (Screen::Progress, Action::Again | Action::Bundle | Action::Plan) => {
            wizard.progress.outcome.is_some()
        }
        (Screen::Progress | Screen::Done | Screen::Console, Action::Back) => false,
        (Screen::Welcome, Action::Back) => false,
        (_, Action::Shell) => wizard.facts.shell,
        (Screen::Review, Action::Choose) => wizard.can_install() || wizard.progress.running(),
        (Screen::Review, Action::DryRun) => wizard.plan().is_some(),
        (Screen::Review | Screen::Done, Action::Save) => {
            wizard.task == Task::Install && wizard.plan().is_some()
        }
        _ => true,
    }
}
