"""What every module can use. It imports only `lib` of ours."""
