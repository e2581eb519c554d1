-- Fixes and climates of boots of which nobody knew yet when they were, until something tells.

-- +goose Up
create table undated_boots (
  gateway text collate "C" not null, boot text collate "C" not null, epoch text collate "C" not null,
  primary key (gateway, boot, epoch));
create table undated (
  gateway text collate "C" not null, boot text collate "C" not null, epoch text collate "C" not null, lane bigint not null, seq bigint not null, mono_ns bigint not null, received_ms bigint not null, body text collate "C" not null,
  primary key (gateway, boot, epoch, lane, seq));
create index undated_received on undated (received_ms);

-- +goose Down
drop table undated;
drop table undated_boots;
