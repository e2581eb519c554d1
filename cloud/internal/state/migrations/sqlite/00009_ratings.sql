-- What recipients say of how their parcels came, once each.

-- +goose Up
create table ratings (waybill text primary key, site text not null, score integer not null, at_ms integer not null);
create index ratings_at on ratings (at_ms);

-- +goose Down
drop table ratings;
