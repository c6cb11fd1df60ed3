-- A confirmation under the name of a renewal to come would stand in that renewal's way: its order id is unique.

alter table payments add constraint payments_first_order_is_not_ours
    check (kind <> 'first' or not starts_with(order_id, 'AUTO_')) not valid;
comment on constraint payments_first_order_is_not_ours on payments is 'Order ids that begin with AUTO_ are made here, for renewals. Not checked for rows from before.';
