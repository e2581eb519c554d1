-- Orders are looked for by their device, and change when a door does something for them.

-- +goose Up
alter table commands add column device text collate "C" not null default '';
alter table commands add column version bigint not null default 0;
update commands set device = coalesce(doc::json->>'device', '');
create index commands_device on commands (device, created_ms);

-- +goose Down
drop index commands_device;
alter table commands drop column version;
alter table commands drop column device;
