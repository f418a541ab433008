"""The words and the pictures: vocabulary, artwork, scenes, captions, the tokenizer, questions."""
