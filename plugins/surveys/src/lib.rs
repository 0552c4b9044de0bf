//! Surveys: questions that an organization asks, and what the answers say together, as a plugin.
//!
//! `model` is what a survey is, without the host; `answering` the page on which people answer; `results` what becomes of
//! the answers. This file ties methods to functions.

mod answering;
mod api;
mod authority;
mod error;
mod importing;
mod invitations;
mod model;
mod results;
mod sharing;
mod store;
mod surveys;
mod templates;
mod words;

#[cfg(test)]
mod stories;

use vaxel_plugin::Error;

use invitations::{Invitations, InvitationsParams, InviteParams};
use results::api::{
    AnswersParams, ExportParams, Exported, Results, ResultsParams, Single, TextsParams, Written,
};
use results::looks::{Looks, LooksParams};

macro_rules! methods {
    ($($name:literal => $method:ident = $with:path, ($params:ty) -> $answer:ty;)+) => {
        $(fn $method(params: $params) -> Result<$answer, Error> {
            Ok($with(params)?)
        })+
        vaxel_plugin::export! {
            methods { $($name => $method),+ },
            jobs => results::release::run,
            pages => answering::show,
        }
    };
}

methods! {
    "create" => create = surveys::create, (api::Create) -> api::Created;
    "save" => save = surveys::save, (api::Save) -> api::Saved;
    "publish" => publish = surveys::publish, (api::One) -> api::Published;
    "close" => close = surveys::close, (api::One) -> api::Closed;
    "list" => list = surveys::list, (api::ListParams) -> api::Listed;
    "get" => get = surveys::get, (api::Get) -> api::Full;
    "duplicate" => duplicate = surveys::duplicate, (api::One) -> api::Created;
    "templates" => templates_of = surveys::templates, (vaxel_plugin::Empty) -> api::Templates;
    "share" => share = sharing::share, (api::ShareParams) -> vaxel_plugin::Empty;
    "results" => results_of = results::view::results, (ResultsParams) -> Results;
    "texts" => texts = results::single::texts, (TextsParams) -> Written;
    "answers" => answers = results::single::answers, (AnswersParams) -> Single;
    "export" => export = results::export::export, (ExportParams) -> Exported;
    "import" => import = importing::import, (importing::ImportParams) -> importing::ImportDone;
    "invitations.create" => invite = invitations::create, (InviteParams) -> Invitations;
    "invitations.list" => invited = invitations::list, (InvitationsParams) -> Invitations;
    "invitations.remind" => remind = invitations::remind, (InvitationsParams) -> Invitations;
    "looks" => looks = results::looks::list, (LooksParams) -> Looks;
}
