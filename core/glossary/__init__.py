"""The words of the app: what each means, in two sentences, where it comes from and is seen."""
