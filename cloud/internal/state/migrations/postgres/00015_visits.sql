-- Who signs in to see their parcels: by the keyed hash of a phone, and the hash of what their browser holds.

-- +goose Up
create table sign_ins (                 -- nonce: what the code is made of, empty when it was used; day and asks: codes of that day (since 1970)
  phone_hash text collate "C" primary key, nonce text collate "C" not null, asked_ms bigint not null, until_ms bigint not null, tries bigint not null, day bigint not null, asks bigint not null);
create table visits (session text collate "C" primary key, phone_hash text collate "C" not null, until_ms bigint not null);
create index visits_until on visits (until_ms);

-- +goose Down
drop table visits;
drop table sign_ins;
