"""How the admin writes days and times: short, sortable, and the same in both regions."""

DATE_FORMAT, DATETIME_FORMAT = "Y-m-d", "Y-m-d H:i"
