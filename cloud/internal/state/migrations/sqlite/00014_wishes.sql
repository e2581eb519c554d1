-- Where its recipient wants a parcel: locker, station or home; empty: not said.

-- +goose Up
alter table parcels add column wish text not null default '';

-- +goose Down
alter table parcels drop column wish;
