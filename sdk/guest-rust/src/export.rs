//! The macro that makes a component of plain functions.

/// Makes a plugin of functions; it stands once, in `lib.rs`.
///
/// Methods alone: `export! { "notes.save" => save, "notes.list" => notes::list }`. With other exports, each of which may
/// be left out, in this order:
///
/// ```text
/// vaxel_plugin::export! {
///     methods { "notes.save" => save, "notes.list" => notes::list },
///     jobs => run,            // fn(schedule::Job) -> Result<Progress>
///     events => on_event,     // fn(events::Event) -> Result<()>
///     before => check,        // fn(hooks::Asked) -> Result<hooks::Verdict>
///     after => told,          // fn(hooks::Happening) -> Result<()>
///     pages => show,          // fn(&str, pages::Request) -> Result<impl Serialize>
///     http => serve,          // fn(http::Incoming) -> Result<http::Response>
///     install => prepare,     // fn() -> Result<()>, as are uninstall, enable and disable
///     uninstall => leave,
///     enable => begin,
///     disable => end,
///     migrate => step,        // fn(u32, Option<Vec<u8>>) -> Result<Progress>
///     health => how,          // fn() -> Result<String>
/// }
/// ```
///
/// A method is `fn(P) -> Result<R, Error>` with `P: Deserialize + JsonSchema` and `R: Serialize + JsonSchema`. The macro
/// defines `handle(method, params)` and `describe()` in the module where it stands, natively too, so that tests can call
/// methods through [`mock::Mock`](crate::mock::Mock).
#[macro_export]
macro_rules! export {
    ($($name:literal => $handler:path),+ $(,)?) => {
        $crate::__export! { methods { $(($name, $handler))+ } }
    };
    (methods { $($name:literal => $handler:path),* $(,)? } $(, $export:ident => $with:path)* $(,)?) => {
        $crate::__export! { methods { $(($name, $handler))* } $($export ($with))* }
    };
    ($($export:ident => $with:path),+ $(,)?) => {
        $crate::__export! { methods { } $($export ($with))* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (
        methods { $(($name:literal, $handler:path))* }
        $(jobs ($jobs:path))?
        $(events ($events:path))?
        $(before ($before:path))?
        $(after ($after:path))?
        $(pages ($pages:path))?
        $(http ($http:path))?
        $(install ($install:path))?
        $(uninstall ($uninstall:path))?
        $(enable ($enable:path))?
        $(disable ($disable:path))?
        $(migrate ($migrate:path))?
        $(health ($health:path))?
    ) => {
        /// Runs the method of this name on JSON parameters.
        pub fn handle(method: &str, params: &[u8]) -> $crate::Result<::std::vec::Vec<u8>> {
            match (method, params) {
                $(($name, params) => $crate::method::run($handler, params),)*
                _ => ::core::result::Result::Err($crate::Error::not_found("no such method")),
            }
        }

        /// The methods with their JSON Schemas.
        pub fn describe() -> $crate::reexport::serde_json::Value {
            $crate::method::description(::std::vec![
                $(($name, $crate::method::describe($handler)),)*
            ])
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;

            impl $crate::bindings::described::exports::vaxel::lifecycle::description::Guest for Component {
                fn describe() -> ::std::vec::Vec<u8> {
                    $crate::log::install_panic_hook();
                    describe().to_string().into_bytes()
                }
            }
            $crate::bindings::described::export_described!(
                Component with_types_in $crate::bindings::described
            );

            $crate::__export_one! { methods $($name)* }
            $($crate::__export_one! { jobs $jobs })?
            $($crate::__export_one! { events $events })?
            $($crate::__export_one! { before $before })?
            $($crate::__export_one! { after $after })?
            $($crate::__export_one! { pages $pages })?
            $($crate::__export_one! { http $http })?
            $crate::__export_one! { installation ($($install)?) ($($uninstall)?) }
            $crate::__export_one! { switching ($($enable)?) ($($disable)?) }
            $($crate::__export_one! { migrate $migrate })?
            $($crate::__export_one! { health $health })?
        };

        // Natively too a function of the wrong shape is an error where it stands.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $(const _: fn($crate::schedule::Job) -> $crate::Result<$crate::Progress> = $jobs;)?
            $(const _: fn($crate::events::Event) -> $crate::Result<()> = $events;)?
            $(const _: fn($crate::hooks::Asked) -> $crate::Result<$crate::hooks::Verdict> = $before;)?
            $(const _: fn($crate::hooks::Happening) -> $crate::Result<()> = $after;)?
            $(const _: fn() = || $crate::pages::fits($pages);)?
            $(const _: fn($crate::http::Incoming) -> $crate::Result<$crate::http::Response> = $http;)?
            $(const _: fn() -> $crate::Result<()> = $install;)?
            $(const _: fn() -> $crate::Result<()> = $uninstall;)?
            $(const _: fn() -> $crate::Result<()> = $enable;)?
            $(const _: fn() -> $crate::Result<()> = $disable;)?
            $(const _: fn(u32, ::core::option::Option<::std::vec::Vec<u8>>) -> $crate::Result<$crate::Progress> = $migrate;)?
            $(const _: fn() -> $crate::Result<::std::string::String> = $health;)?
        };
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "export! takes `methods { .. }` and then, in this order: jobs, events, before, after, pages, http, install, \
             uninstall, enable, disable, migrate, health"
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_one {
    (methods) => {};
    (methods $($name:literal)+) => {
        impl $crate::bindings::methods::exports::vaxel::rpc::rpc::Guest for Component {
            fn handle(
                method: ::std::string::String,
                params: ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<
                ::std::vec::Vec<u8>,
                $crate::bindings::vaxel::types::types::Error,
            > {
                $crate::exported::plain(|| handle(&method, &params))
            }
        }
        $crate::bindings::methods::export_methods!(
            Component with_types_in $crate::bindings::methods
        );
    };
    (jobs $with:path) => {
        impl $crate::bindings::worker::exports::vaxel::jobs::jobs::Guest for Component {
            fn run(
                job: $crate::bindings::worker::exports::vaxel::jobs::jobs::Job,
            ) -> ::core::result::Result<
                $crate::bindings::worker::exports::vaxel::jobs::jobs::Progress,
                $crate::bindings::vaxel::types::types::Error,
            > {
                $crate::exported::job($with, job)
            }
        }
        $crate::bindings::worker::export_worker!(
            Component with_types_in $crate::bindings::worker
        );
    };
    (events $with:path) => {
        impl $crate::bindings::listener::exports::vaxel::events_in::events_in::Guest for Component {
            fn handle(
                event: $crate::bindings::listener::exports::vaxel::events_in::events_in::Event,
            ) -> ::core::result::Result<(), $crate::bindings::vaxel::types::types::Error> {
                $crate::exported::event($with, event)
            }
        }
        $crate::bindings::listener::export_listener!(
            Component with_types_in $crate::bindings::listener
        );
    };
    (before $with:path) => {
        impl $crate::bindings::hooked_before::exports::vaxel::hooks::before::Guest for Component {
            fn before(
                plugin: ::std::string::String,
                method: ::std::string::String,
                params: ::std::vec::Vec<u8>,
            ) -> $crate::exported::Answer<
                $crate::bindings::hooked_before::exports::vaxel::hooks::before::Verdict,
            > {
                $crate::exported::before($with, plugin, method, params)
            }
        }
        $crate::bindings::hooked_before::export_hooked_before!(
            Component with_types_in $crate::bindings::hooked_before
        );
    };
    (after $with:path) => {
        impl $crate::bindings::hooked_after::exports::vaxel::hooks::after::Guest for Component {
            fn after(
                happening: $crate::bindings::hooked_after::exports::vaxel::hooks::after::Happening,
            ) -> ::core::result::Result<(), $crate::bindings::vaxel::types::types::Error> {
                $crate::exported::after($with, happening)
            }
        }
        $crate::bindings::hooked_after::export_hooked_after!(
            Component with_types_in $crate::bindings::hooked_after
        );
    };
    (pages $with:path) => {
        impl $crate::bindings::paged::exports::vaxel::pages::pages::Guest for Component {
            fn show(
                page: ::std::string::String,
                request: $crate::bindings::paged::exports::vaxel::pages::pages::Request,
            ) -> ::core::result::Result<
                ::std::vec::Vec<u8>,
                $crate::bindings::vaxel::types::types::Error,
            > {
                $crate::exported::page($with, &page, request)
            }
        }
        $crate::bindings::paged::export_paged!(
            Component with_types_in $crate::bindings::paged
        );
    };
    (http $with:path) => {
        impl $crate::bindings::reachable::exports::vaxel::http_in::http_in::Guest for Component {
            fn handle(
                request: $crate::bindings::reachable::exports::vaxel::http_in::http_in::Request,
            ) -> ::core::result::Result<
                $crate::bindings::reachable::exports::vaxel::http_in::http_in::Response,
                $crate::bindings::vaxel::types::types::Error,
            > {
                $crate::exported::http($with, request)
            }
        }
        $crate::bindings::reachable::export_reachable!(
            Component with_types_in $crate::bindings::reachable
        );
    };
    (installation () ()) => {};
    (installation ($($install:path)?) ($($uninstall:path)?)) => {
        impl $crate::bindings::installed::exports::vaxel::lifecycle::installation::Guest for Component {
            fn install() -> ::core::result::Result<(), $crate::bindings::vaxel::types::types::Error> {
                $($crate::exported::plain($install)?;)?
                ::core::result::Result::Ok(())
            }

            fn uninstall() -> ::core::result::Result<(), $crate::bindings::vaxel::types::types::Error> {
                $($crate::exported::plain($uninstall)?;)?
                ::core::result::Result::Ok(())
            }
        }
        $crate::bindings::installed::export_installed!(
            Component with_types_in $crate::bindings::installed
        );
    };
    (switching () ()) => {};
    (switching ($($enable:path)?) ($($disable:path)?)) => {
        impl $crate::bindings::switched::exports::vaxel::lifecycle::switching::Guest for Component {
            fn enable() -> ::core::result::Result<(), $crate::bindings::vaxel::types::types::Error> {
                $($crate::exported::plain($enable)?;)?
                ::core::result::Result::Ok(())
            }

            fn disable() -> ::core::result::Result<(), $crate::bindings::vaxel::types::types::Error> {
                $($crate::exported::plain($disable)?;)?
                ::core::result::Result::Ok(())
            }
        }
        $crate::bindings::switched::export_switched!(
            Component with_types_in $crate::bindings::switched
        );
    };
    (migrate $with:path) => {
        impl $crate::bindings::migrated::exports::vaxel::lifecycle::migration::Guest for Component {
            fn migrate(
                from: u32,
                cursor: ::core::option::Option<::std::vec::Vec<u8>>,
            ) -> ::core::result::Result<
                $crate::bindings::migrated::exports::vaxel::lifecycle::migration::Progress,
                $crate::bindings::vaxel::types::types::Error,
            > {
                $crate::exported::migrate($with, from, cursor)
            }
        }
        $crate::bindings::migrated::export_migrated!(
            Component with_types_in $crate::bindings::migrated
        );
    };
    (health $with:path) => {
        impl $crate::bindings::examined::exports::vaxel::lifecycle::health::Guest for Component {
            fn health() -> ::core::result::Result<
                ::std::string::String,
                $crate::bindings::vaxel::types::types::Error,
            > {
                $crate::exported::plain($with)
            }
        }
        $crate::bindings::examined::export_examined!(
            Component with_types_in $crate::bindings::examined
        );
    };
}
