"""Reading tables of logs: CSV, JSON lines and Parquet files, the images and names in them, and what is wrong with them."""
