"""What adapter-wechat keeps."""
