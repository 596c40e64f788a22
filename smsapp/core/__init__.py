"""What every module may use. It imports nothing of ours but `lib`."""
