-- Who signs in to see their parcels: by the keyed hash of a phone, and the hash of what their browser holds.

-- +goose Up
create table sign_ins (                 -- nonce: what the code is made of, empty when it was used; day and asks: codes of that day (since 1970)
  phone_hash text primary key, nonce text not null, asked_ms integer not null, until_ms integer not null, tries integer not null, day integer not null, asks integer not null);
create table visits (session text primary key, phone_hash text not null, until_ms integer not null);
create index visits_until on visits (until_ms);

-- +goose Down
drop table visits;
drop table sign_ins;
