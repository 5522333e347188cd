"""Journals to the tools of others, one file each; none of them runs inside a job."""
