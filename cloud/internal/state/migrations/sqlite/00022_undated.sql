-- Fixes and climates of boots of which nobody knew yet when they were, until something tells.

-- +goose Up
create table undated_boots (
  gateway text not null, boot text not null, epoch text not null,
  primary key (gateway, boot, epoch));
create table undated (
  gateway text not null, boot text not null, epoch text not null, lane integer not null, seq integer not null, mono_ns integer not null, received_ms integer not null, body text not null,
  primary key (gateway, boot, epoch, lane, seq));
create index undated_received on undated (received_ms);

-- +goose Down
drop table undated;
drop table undated_boots;
