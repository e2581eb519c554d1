-- What was heard of the last boots of a gateway, so that a hello that comes late is known as such. JSON.

-- +goose Up
alter table gateways add column voices text not null default '';

-- +goose Down
alter table gateways drop column voices;
