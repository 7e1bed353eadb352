FROM nosuchbase.invalid/x
