-- What boards said that they made, and which of the records that no account covers were alarmed.

-- +goose Up
create table accounts (                 -- last is the highest seq that a hello named; alarmed are ranges as in ranges.spans
  gateway text collate "C" not null, epoch text collate "C" not null, lane bigint not null, last bigint not null, said_ms bigint not null, alarmed text collate "C" not null,
  primary key (gateway, epoch, lane));
alter table ranges add column quarantined bigint not null default 0;

-- +goose Down
alter table ranges drop column quarantined;
drop table accounts;
