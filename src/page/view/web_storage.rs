//! The browser's session and local storage. Each name carries the folder of the page, as everything else that is kept does: a
//! host may have several pages of Klimb.

use web_sys::Storage;

use super::dom;

/// The tab's storage; `None` where it is forbidden.
pub fn session() -> Option<Storage> {
    dom::window().session_storage().ok().flatten()
}

/// The browser's storage; `None` where it is forbidden.
pub fn local() -> Option<Storage> {
    dom::window().local_storage().ok().flatten()
}

/// What is kept under a name. Earlier builds wrote names without a folder: what stands there goes to the first page that
/// asks for it.
pub fn read(storage: Option<Storage>, name: &str) -> Option<String> {
    let (storage, full) = (storage?, full(name));
    if let Some(value) = storage.get_item(&full).ok()? {
        return Some(value);
    }
    let value = storage.get_item(name).ok()??;
    if storage.set_item(&full, &value).is_ok() {
        // If it stays, it is only read again.
        let _ = storage.remove_item(name);
    }
    Some(value)
}

/// Keeps a value, or with `None` nothing. Storage may be forbidden or full; what was to be kept then lasts as long as the
/// page.
pub fn write(storage: Option<Storage>, name: &str, value: Option<&str>) {
    let Some(storage) = storage else { return };
    let _ = match value {
        Some(value) => storage.set_item(&full(name), value),
        None => storage.remove_item(&full(name)),
    };
}

fn full(name: &str) -> String {
    format!("{name} {}", folder())
}

/// The folder of the page, with a slash at its end. One page in several languages has one folder.
pub fn folder() -> String {
    let mut path = dom::window().location().pathname().unwrap_or_default();
    path.truncate(path.rfind('/').map_or(0, |end| end + 1));
    path
}
