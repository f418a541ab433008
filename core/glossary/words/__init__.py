"""The rows of GLOSSARY, by what they are about."""
