-- Run once by the postgres image in an empty data folder: the global layer's database, beside the region's own.
CREATE DATABASE juniro_global;
