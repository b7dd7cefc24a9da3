//! `#[derive(Header)]`: a struct becomes a typed command header of the remoting protocol.
//!
//! A field `consumer_group: String` is the ext field `consumerGroup` and required; `Option<…>` is one that may be
//! missing; a plain `i32`, `i64` or `bool` is a Java primitive. Attributes:
//!
//! | attribute | on | meaning |
//! |---|---|---|
//! | `#[header(java = "Name")]` | struct | the Java class, when it is not the struct's name |
//! | `#[header(fast)]` | struct | Java's `FastCodesHeader`: an unreadable number is an error even where it is optional |
//! | `#[header(name = "bname")]` | field | the name on the wire, when it is not the camel case of the field's |
//! | `#[header(boxed)]` | field | Java's boxed type: a plain scalar then must be there |
//! | `#[header(nullable)]` | field | a primitive that Java marks `@CFNullable`: it is not listed as required |
//! | `#[header(required)]` | field | an `Option` that Java lists as required although it lives without it |
//! | `#[header(default = …)]` | field | the value when the field is missing, where Java has one other than zero or does without the field |
//! | `#[header(flatten)]` | field | the fields of the Java superclass, themselves a header |

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Fields, GenericArgument, PathArguments, Type, parse_macro_input};

/// See the crate documentation.
#[proc_macro_derive(Header, attributes(header))]
pub fn derive_header(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

#[derive(Default)]
struct StructOptions {
    java: Option<String>,
    fast: bool,
}

#[derive(Default)]
struct FieldOptions {
    name: Option<String>,
    boxed: bool,
    nullable: bool,
    required: bool,
    flatten: bool,
    default: Option<syn::Expr>,
}

fn expand(input: &DeriveInput) -> syn::Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(input, "a header is a struct"));
    };
    let options = struct_options(input)?;
    let ident = &input.ident;
    let java = options.java.unwrap_or_else(|| ident.to_string());
    let mut decode = Vec::new();
    let mut encode = Vec::new();
    let mut infos = Vec::new();
    let fields = match &data.fields {
        Fields::Named(fields) => fields.named.iter().collect::<Vec<_>>(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(fields) => {
            return Err(syn::Error::new_spanned(fields, "header fields have names"));
        }
    };
    for field in fields {
        let member = field.ident.as_ref().expect("named fields have names");
        let ty = &field.ty;
        let options = field_options(field)?;
        if options.flatten {
            decode.push(quote!(#member: ::raptormq_wire::Header::decode(ext)?));
            encode.push(quote!(::raptormq_wire::Header::encode(&self.#member, ext);));
            infos.push(quote!(<#ty as ::raptormq_wire::Header>::fields(out);));
            continue;
        }
        let name = options.name.clone().unwrap_or_else(|| camel_case(&member.to_string()));
        let kind = Kind::of(ty)?;
        let fast = struct_fast(&kind, options.boxed, struct_options(input)?.fast);
        if let Some(default) = &options.default {
            decode.push(
                quote!(#member: ::raptormq_wire::scalar::optional(ext, #name, #fast)?.unwrap_or(#default)),
            );
            encode.push(encode_field(member, &name, &kind));
            infos.push(field_info(&name, &kind, &options));
            continue;
        }
        decode.push(match (&kind, options.boxed) {
            (Kind::Optional(_), _) => {
                quote!(#member: ::raptormq_wire::scalar::optional(ext, #name, #fast)?)
            }
            (Kind::Plain(Scalar::String), _) | (Kind::Plain(_), true) => {
                quote!(#member: ::raptormq_wire::scalar::required(ext, #name)?)
            }
            (Kind::Plain(_), false) => {
                quote!(#member: ::raptormq_wire::scalar::primitive(ext, #name, #fast)?)
            }
        });
        encode.push(encode_field(member, &name, &kind));
        infos.push(field_info(&name, &kind, &options));
    }
    Ok(quote! {
        impl ::raptormq_wire::Header for #ident {
            const JAVA: &'static str = #java;

            #[allow(unused_variables)]
            fn decode(ext: &::raptormq_wire::ExtFields) -> ::core::result::Result<Self, ::raptormq_wire::HeaderError> {
                Ok(Self { #(#decode,)* })
            }

            #[allow(unused_variables)]
            fn encode(&self, ext: &mut ::raptormq_wire::ExtFields) {
                #(#encode)*
            }

            #[allow(unused_variables)]
            fn fields(out: &mut ::std::vec::Vec<::raptormq_wire::FieldInfo>) {
                #(#infos)*
            }
        }
    })
}

/// Only numbers can be unreadable, so the flag matters for them alone.
fn struct_fast(kind: &Kind, boxed: bool, fast: bool) -> bool {
    fast && !boxed && !matches!(kind.scalar(), Scalar::String)
}

fn encode_field(member: &syn::Ident, name: &str, kind: &Kind) -> Tokens {
    match kind {
        Kind::Plain(_) => quote!(::raptormq_wire::scalar::Scalar::put(&self.#member, ext, #name);),
        Kind::Optional(_) => quote! {
            if let Some(value) = &self.#member {
                ::raptormq_wire::scalar::Scalar::put(value, ext, #name);
            }
        },
    }
}

fn field_info(name: &str, kind: &Kind, options: &FieldOptions) -> Tokens {
    let primitive = matches!(kind, Kind::Plain(scalar) if *scalar != Scalar::String) && !options.boxed;
    let ty = match (kind.scalar(), primitive) {
        (Scalar::String, _) => quote!(String),
        (Scalar::Int, true) => quote!(Int),
        (Scalar::Int, false) => quote!(BoxedInt),
        (Scalar::Long, true) => quote!(Long),
        (Scalar::Long, false) => quote!(BoxedLong),
        (Scalar::Bool, true) => quote!(Boolean),
        (Scalar::Bool, false) => quote!(BoxedBoolean),
    };
    let required = options.required || (matches!(kind, Kind::Plain(_)) && !options.nullable);
    quote! {
        out.push(::raptormq_wire::FieldInfo {
            name: #name,
            ty: ::raptormq_wire::FieldType::#ty,
            required: #required,
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalar {
    String,
    Int,
    Long,
    Bool,
}

enum Kind {
    Plain(Scalar),
    Optional(Scalar),
}

impl Kind {
    fn of(ty: &Type) -> syn::Result<Self> {
        if let Some(scalar) = scalar(ty) {
            return Ok(Self::Plain(scalar));
        }
        optional(ty).and_then(scalar).map(Self::Optional).ok_or_else(|| {
            syn::Error::new_spanned(ty, "a header field is String, i32, i64, bool or an Option of one")
        })
    }

    fn scalar(&self) -> Scalar {
        match self {
            Self::Plain(scalar) | Self::Optional(scalar) => *scalar,
        }
    }
}

fn scalar(ty: &Type) -> Option<Scalar> {
    let Type::Path(path) = ty else { return None };
    match path.path.get_ident()?.to_string().as_str() {
        "String" => Some(Scalar::String),
        "i32" => Some(Scalar::Int),
        "i64" => Some(Scalar::Long),
        "bool" => Some(Scalar::Bool),
        _ => None,
    }
}

fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|s| s.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

fn struct_options(input: &DeriveInput) -> syn::Result<StructOptions> {
    let mut options = StructOptions::default();
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("header")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("fast") {
                options.fast = true;
            } else if meta.path.is_ident("java") {
                options.java = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            } else {
                return Err(meta.error("expected `fast` or `java`"));
            }
            Ok(())
        })?;
    }
    Ok(options)
}

fn field_options(field: &syn::Field) -> syn::Result<FieldOptions> {
    let mut options = FieldOptions::default();
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("header")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            } else if meta.path.is_ident("boxed") {
                options.boxed = true;
            } else if meta.path.is_ident("nullable") {
                options.nullable = true;
            } else if meta.path.is_ident("required") {
                options.required = true;
            } else if meta.path.is_ident("flatten") {
                options.flatten = true;
            } else if meta.path.is_ident("default") {
                options.default = Some(meta.value()?.parse()?);
            } else {
                return Err(
                    meta.error("expected `name`, `boxed`, `nullable`, `required`, `default` or `flatten`")
                );
            }
            Ok(())
        })?;
    }
    Ok(options)
}

fn camel_case(snake: &str) -> String {
    let mut out = String::with_capacity(snake.len());
    let mut upper = false;
    for character in snake.trim_start_matches("r#").chars() {
        if character == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            out.extend(character.to_uppercase());
        } else {
            out.push(character);
        }
    }
    out
}
