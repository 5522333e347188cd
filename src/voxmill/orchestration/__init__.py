"""When stages run: Airflow DAGs, operators and callbacks."""
