//! What happens to accounts: each function is one unit of work, with its transaction and
//! with the events that others hear of it before it returns. None of them knows HTTP;
//! routes, the command line and other rooms call the same ones.

mod administer;
mod audit;
mod catch_up;
mod change_password;
mod change_profile;
mod confirm;
mod delete_user;
pub mod deletion;
mod end_session;
mod export;
mod find;
pub mod keys;
mod log_in;
mod log_out;
mod logged_in;
pub mod of_others;
mod refresh;
mod register;
mod reset_password;
mod verify;

pub use administer::administer;
pub use audit::list_audit;
pub use catch_up::{announce_anything, catch_up, find_session_owner};
pub use change_password::{PasswordChanged, PasswordSet, change_password, set_password};
pub use change_profile::{ProfileChanged, change_profile};
pub use delete_user::{Deletion, OwnDeletion, delete_own_user, delete_user};
pub use end_session::{end_other_sessions, end_session, end_sessions_of};
pub use export::{Export, ExportRest, Part};
pub use find::{
    find_account, find_active_user, find_public_user, find_public_user_by_name, find_user,
    find_user_by_account, list_public_users, list_sessions, list_users, load_names,
};
pub use log_in::{LogIn, log_in};
pub use log_out::{WhoLogsOut, log_out};
pub use logged_in::LoggedIn;
pub use refresh::{Refresh, refresh};
pub use register::{Created, Creation, Registered, create_user, register};
pub use reset_password::{GivenCode, PasswordReset, request_reset, reset_password};
pub use verify::{CodeSent, Verified, send_code, verify};
