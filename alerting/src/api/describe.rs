//! What the API says of itself: an OpenAPI document (3.1) made from the table of routes and the types that
//! handlers read and write.

use std::collections::BTreeMap;

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required,
};
use utoipa::{IntoParams, ToSchema};

use super::problem::ProblemBody;
use super::{Access, ROUTES, Route};

const JSON: &str = "application/json";

/// A content type and what is in it.
type Typed = (&'static str, RefOr<Schema>);

/// What a route takes and gives.
pub(super) struct About {
    summary: &'static str,
    parameters: Vec<Parameter>,
    body: Option<Typed>,
    answers: Vec<(u16, Option<Typed>)>,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl About {
    pub(super) fn new(summary: &'static str) -> Self {
        Self {
            summary,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            schemas: BTreeMap::new(),
        }
    }

    /// Parameters of the query.
    pub(super) fn query<P: IntoParams>(mut self) -> Self {
        self.parameters
            .extend(P::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// It wants the version that the caller saw.
    pub(super) fn if_match(mut self) -> Self {
        self.parameters.push(
            ParameterBuilder::new()
                .name("If-Match")
                .parameter_in(ParameterIn::Header)
                .required(Required::True)
                .description(Some("The version that you saw, from ETag or the body."))
                .schema(Some(text()))
                .build(),
        );
        self
    }

    /// A JSON body.
    pub(super) fn body<B: ToSchema>(mut self) -> Self {
        self.body = Some((JSON, self.refer::<B>()));
        self
    }

    /// A body of another kind.
    pub(super) fn text_body(mut self, content_type: &'static str) -> Self {
        self.body = Some((content_type, text()));
        self
    }

    /// A JSON answer.
    pub(super) fn gives<T: ToSchema>(self) -> Self {
        self.gives_as::<T>(200)
    }

    /// A JSON answer to something new.
    pub(super) fn makes<T: ToSchema>(self) -> Self {
        self.gives_as::<T>(201)
    }

    /// A JSON answer under that status.
    pub(super) fn gives_as<T: ToSchema>(mut self, status: u16) -> Self {
        let schema = self.refer::<T>();
        self.answers.push((status, Some((JSON, schema))));
        self
    }

    /// A list with all that there is.
    pub(super) fn lists<T: ToSchema>(mut self) -> Self {
        let items = ArrayBuilder::new().items(self.refer::<T>()).build();
        let schema = ObjectBuilder::new()
            .property("items", items)
            .required("items")
            .build();
        self.answers.push((200, Some((JSON, schema.into()))));
        self
    }

    /// A page of a list.
    pub(super) fn pages<T: ToSchema>(mut self) -> Self {
        let items = ArrayBuilder::new().items(self.refer::<T>()).build();
        let cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("Where the next page begins; null at the end."))
            .build();
        let schema = ObjectBuilder::new()
            .property("items", items)
            .required("items")
            .property("next_cursor", cursor)
            .required("next_cursor")
            .build();
        self.answers.push((200, Some((JSON, schema.into()))));
        self
    }

    /// An answer without a body.
    pub(super) fn answers(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self
    }

    /// Server-sent events.
    pub(super) fn streams(mut self) -> Self {
        self.answers
            .push((200, Some(("text/event-stream", text()))));
        self
    }

    fn refer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let name = T::name().into_owned();
        let mut found = Vec::new();
        T::schemas(&mut found);
        self.schemas.insert(name.clone(), T::schema());
        self.schemas.extend(found);
        Ref::from_schema_name(name).into()
    }

    fn operation(&self, route: &Route) -> OperationBuilder {
        let in_path = route.path.split(['{', '}']).skip(1).step_by(2).map(|name| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text()))
                .build()
        });
        let key = route.takes_key().then(|| {
            ParameterBuilder::new()
                .name("Idempotency-Key")
                .parameter_in(ParameterIn::Header)
                .description(Some(
                    "A random text of 16 to 255 characters, new for each request: sent again with it within a day, the \
                     same request gets the answer of the first time and is not done again.",
                ))
                .schema(Some(text()))
                .build()
        });
        let mut responses = ResponsesBuilder::new();
        for (status, content) in &self.answers {
            let mut response = ResponseBuilder::new().description("");
            if let Some((content_type, schema)) = content {
                response = response.content(*content_type, Content::new(Some(schema.clone())));
            }
            responses = responses.response(status.to_string(), response.build());
        }
        let problem: RefOr<Schema> = Ref::from_schema_name(ProblemBody::name()).into();
        responses = responses.response(
            "default",
            ResponseBuilder::new()
                .description("What is wrong, and what to do next.")
                .content("application/problem+json", Content::new(Some(problem)))
                .build(),
        );
        let mut operation = OperationBuilder::new()
            .operation_id(Some(operation_id(route)))
            .summary(Some(self.summary))
            .parameters(Some(
                in_path.chain(self.parameters.iter().cloned()).chain(key),
            ))
            .responses(responses.build());
        if let Some((content_type, schema)) = &self.body {
            let body = RequestBodyBuilder::new()
                .content(*content_type, Content::new(Some(schema.clone())))
                .required(Some(Required::True));
            operation = operation.request_body(Some(body.build()));
        }
        if let Access::AtLeast(role) = route.access {
            let extensions = ExtensionsBuilder::new().add("x-role", role.name()).build();
            operation = operation
                .extensions(Some(extensions))
                .security(SecurityRequirement::new("session", [""; 0]))
                .security(SecurityRequirement::new("token", [""; 0]));
        }
        operation
    }
}

fn text() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .build()
        .into()
}

/// `get_incidents_id` for `GET /api/v1/incidents/{id}`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1/");
    let path: String = path
        .chars()
        .filter(|character| !"{}".contains(*character))
        .map(|character| {
            if character.is_alphanumeric() {
                character
            } else {
                '_'
            }
        })
        .collect();
    format!("{}_{path}", route.method.as_str().to_lowercase())
}

/// The document: every route of the table, and the types that they name.
pub(super) fn document() -> OpenApi {
    let mut paths = Paths::new();
    let mut schemas = BTreeMap::new();
    for route in ROUTES {
        let about = (route.about)();
        let method = match route.method.as_str() {
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            "PATCH" => HttpMethod::Patch,
            "DELETE" => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        paths.add_path_operation(route.path, vec![method], about.operation(route));
        schemas.extend(about.schemas);
    }
    let mut nested = Vec::new();
    ProblemBody::schemas(&mut nested);
    schemas.extend(nested);
    schemas.insert(
        ProblemBody::name().into_owned(),
        <ProblemBody as utoipa::PartialSchema>::schema(),
    );
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token that an administrator made."));
    let session = ApiKeyValue::with_description(
        "__Host-citywatch",
        "Signed in by POST /api/v1/session; on loopback without HTTPS it is called citywatch. What changes \
         something also sends the header X-CSRF-Token with the session's token.",
    );
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)))
        .security_scheme("token", SecurityScheme::Http(token.build()))
        .build();
    let info = InfoBuilder::new()
        .title("Citywatch")
        .version("1")
        .description(Some(
            "Times are RFC 3339 in UTC, ids are opaque texts. Lists go on by next_cursor. Errors are problems \
             (RFC 9457) that name field and reason.",
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components))
        .build()
}

/// The document as it is served and kept: indented, in a fixed order.
pub fn openapi_json() -> String {
    let mut text = document()
        .to_pretty_json()
        .expect("texts and numbers always serialize");
    text.push('\n');
    text
}
